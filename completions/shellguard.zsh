#compdef shellguard
# zsh completion of shellguard; written by "shellguard _document completion-zsh".

_shellguard_profiles() { local -a names; names=(${(f)"$(shellguard profiles --json 2>/dev/null | sed -n 's/^{"name":"\([^"]*\)".*/\1/p')"}); compadd -a names; _files -g '*.toml' }
_shellguard_sessions() { local -a names; names=(last ${(f)"$(shellguard audit list 2>/dev/null | sed -n '2,$s/ .*//p')"}); compadd -a names }
_shellguard_running() { local -a names; names=(${(f)"$(shellguard ps 2>/dev/null | sed -n '2,$s/ .*//p')"}); compadd -a names }
_shellguard_calls() { local -a names; names=(${(f)"$(shellguard syscalls --json 2>/dev/null | sed -n 's/^{[^,]*,"name":"\([^"]*\)".*/\1/p')"}); compadd -a names }
_shellguard_actions() { compadd show list verify; _shellguard_sessions }
_shellguard_flags() { compadd loopback dns ping outgoing incoming unix netlink raw read write tmp system home tty devices attributes locks links mknod start descriptors malloc jit threads fork exec signals timers ipc shared-memory aio debug scheduling watch identity create switch clock hostname sysinfo keyring perf reboot modules mount pledge-stdio pledge-rpath pledge-wpath pledge-cpath pledge-dpath pledge-tmppath pledge-inet pledge-mcast pledge-fattr pledge-chown pledge-flock pledge-unix pledge-dns pledge-getpw pledge-sendfd pledge-recvfd pledge-tape pledge-tty pledge-proc pledge-exec pledge-prot_exec pledge-settime pledge-ps pledge-vminfo pledge-id pledge-pf pledge-route pledge-wroute pledge-audio pledge-video pledge-bpf pledge-unveil pledge-error pledge-disklabel pledge-drm pledge-vmm }
_shellguard_questions() { compadd read open write exec list see connect listen resolve syscall capability env flag; _shellguard_profiles; _files }
_shellguard_limits() { compadd -S '' Processes= OpenFiles= FileSize= CpuTime= AddressSpace= Stack= CoreSize= LockedMemory= Memory= }
_shellguard_back_ends() { compadd seccomp seccomp-bpf capabilities oci apparmor landlock systemd }

_shellguard()
{
	local -a commands
	commands=(
		'run:run a command in a world of its own'
		'check:look for errors in profiles, all at once'
		'explain:say in plain words what profiles mean on this host'
		'can:say whether profiles ever allow an action, and by which rule'
		'test:check the assertions of a profile (\[\[Test\]\])'
		'learn:watch a run and propose a profile for it'
		'fmt:bring profiles into one layout'
		'diff:say what authority a change of a profile gives or takes'
		'why:explain a refusal, and what would allow it'
		'compile:write profiles as artefacts for other programs'
		'unload:take away what compile --load has loaded'
		'audit:show, list and verify the records of sessions'
		'syscalls:the system calls\: what each is for and how it is bound'
		'doctor:say what this kernel, user and place can hold, and what helps'
		'profiles:list the profiles that can be named'
		'ps:list the running sessions'
		'enter:run one more command in a running session'\''s world'
		'stop:end a running session, or only its network'
	)
	if (( CURRENT == 2 )); then
		_describe command commands
		return
	fi
	local command=${words[2]}
	shift words
	(( CURRENT-- ))
	case $command in
	run)
		_arguments -S \
			'*'{-p,--profile}'[a profile, by name or path; may be given several times (default\: developer)]:PROFILE:_shellguard_profiles' \
			'*--ro[may be read]:GLOB:_files' \
			'*--rw[may be read and written]:GLOB:_files' \
			'*--exec[may be executed]:GLOB:_files' \
			'*--deny[may not be opened or changed, whatever allows it]:GLOB:_files' \
			'*--allow[may be connected to]:ADDRESS: ' \
			'*--listen[may be listened on]:ADDRESS: ' \
			'*--no-net[no network, whatever allows it]' \
			'*--env[an environment variable that passes, or is set]:NAME\[=VALUE\]: ' \
			'*--cwd[the working directory]:FOLDER:_files -/' \
			'*--limit[a limit, such as Processes=256]:NAME=VALUE:_shellguard_limits' \
			'*--name[the name of the session'\''s profile]:NAME: ' \
			'*--flag[a purpose that is granted (see shellguard-profile(5) for the flags)]:NAME:_shellguard_flags' \
			'*--record[write the record here (the file must not exist)]:FILE:_files' \
			'*--dry-run[do everything but start it]' \
			'*'{-q,--quiet}'[no line at the terminal for what is refused (the record has it all the same)]' \
			'*'{-h,--help}'[show this help]' \
			'*::command:_normal'
		;;
	check)
		_arguments -S \
			'*'{-h,--help}'[show this help]' \
			'*:argument:_shellguard_profiles'
		;;
	explain)
		_arguments -S \
			'*'{-p,--profile}'[a profile, by name or path; may be given several times (default\: developer)]:PROFILE:_shellguard_profiles' \
			'*--ro[may be read]:GLOB:_files' \
			'*--rw[may be read and written]:GLOB:_files' \
			'*--exec[may be executed]:GLOB:_files' \
			'*--deny[may not be opened or changed, whatever allows it]:GLOB:_files' \
			'*--allow[may be connected to]:ADDRESS: ' \
			'*--listen[may be listened on]:ADDRESS: ' \
			'*--no-net[no network, whatever allows it]' \
			'*--env[an environment variable that passes, or is set]:NAME\[=VALUE\]: ' \
			'*--cwd[the working directory]:FOLDER:_files -/' \
			'*--limit[a limit, such as Processes=256]:NAME=VALUE:_shellguard_limits' \
			'*--name[the name of the session'\''s profile]:NAME: ' \
			'*--flag[a purpose that is granted (see shellguard-profile(5) for the flags)]:NAME:_shellguard_flags' \
			'*--long[all of it\: every rule with its place, what each flag is for, the environment, where rules meet]' \
			'*--cost[where each rule is held, what a call costs there, and what would make it cheaper]' \
			'*--toml[only the options of this line, as a profile]' \
			'*'{-h,--help}'[show this help]' \
			'*:argument:_shellguard_profiles'
		;;
	can)
		_arguments -S \
			'*'{-p,--profile}'[a profile, by name or path; may be given several times (default\: developer)]:PROFILE:_shellguard_profiles' \
			'*--json[as JSON, for programs]' \
			'*'{-h,--help}'[show this help]' \
			'*:argument:_shellguard_questions'
		;;
	test)
		_arguments -S \
			'*'{-p,--profile}'[a profile, by name or path; may be given several times]:PROFILE:_shellguard_profiles' \
			'*--json[as JSON, for programs]' \
			'*'{-h,--help}'[show this help]' \
			'*:argument:_shellguard_profiles'
		;;
	learn)
		_arguments -S \
			'*'{-p,--profile}'[a profile, by name or path; may be given several times (default\: developer)]:PROFILE:_shellguard_profiles' \
			'*--ro[may be read]:GLOB:_files' \
			'*--rw[may be read and written]:GLOB:_files' \
			'*--exec[may be executed]:GLOB:_files' \
			'*--deny[may not be opened or changed, whatever allows it]:GLOB:_files' \
			'*--allow[may be connected to]:ADDRESS: ' \
			'*--listen[may be listened on]:ADDRESS: ' \
			'*--no-net[no network, whatever allows it]' \
			'*--env[an environment variable that passes, or is set]:NAME\[=VALUE\]: ' \
			'*--cwd[the working directory]:FOLDER:_files -/' \
			'*--limit[a limit, such as Processes=256]:NAME=VALUE:_shellguard_limits' \
			'*--name[the name of the session'\''s profile]:NAME: ' \
			'*--flag[a purpose that is granted (see shellguard-profile(5) for the flags)]:NAME:_shellguard_flags' \
			'*'{-q,--quiet}'[no line at the terminal for what is refused (the record has it all the same)]' \
			'*--replay[run the command again under the proposal, and add what is still refused]' \
			'*--secrets[do not refuse the secrets of the built-in list in the run]' \
			'*'{-o,--output}'[write here instead of to standard output; the file must not exist]:FILE:_files' \
			'*'{-h,--help}'[show this help]' \
			'*:argument: '
		;;
	fmt)
		_arguments -S \
			'*--check[write nothing\: exit status 1 if something would change]' \
			'*'{-h,--help}'[show this help]' \
			'*:argument:_files'
		;;
	diff)
		_arguments -S \
			'*--json[as JSON, for programs]' \
			'*'{-h,--help}'[show this help]' \
			'*:argument:_shellguard_profiles'
		;;
	why)
		_arguments -S \
			'*'{-p,--profile}'[a profile, by name or path; may be given several times (default\: developer)]:PROFILE:_shellguard_profiles' \
			'*--last[the last refusal (as without an argument)]' \
			'*--session[the session\: the start of its id, "last", or the path of a record]:SESSION:_shellguard_sessions' \
			'*--json[as JSON, for programs]' \
			'*'{-h,--help}'[show this help]' \
			'*:argument:_files'
		;;
	compile)
		_arguments -S \
			'*'{-q,--quiet}'[do not write who holds what on standard error]' \
			'*--to[the back end, or several with commas between; may be given several times]:BACKEND:_shellguard_back_ends' \
			'*'{-o,--output}'[write here instead of to standard output; for several back ends a folder that exists]:FILE:_files' \
			'*--installed[every back end that something on this host takes; without -o and --load just the matrix of who holds what, on standard output]' \
			'*--load[load what can be loaded for good, until "shellguard unload"]' \
			'*--approximate[write or load it even where it is weaker than the profile]' \
			'*'{-h,--help}'[show this help]' \
			'*:argument:_shellguard_profiles'
		;;
	unload)
		_arguments -S \
			'*'{-h,--help}'[show this help]' \
			'*:argument: '
		;;
	audit)
		_arguments -S \
			'*--json[as JSON, for programs]' \
			'*'{-f,--follow}'[go on with what is recorded until the session ends]' \
			'*'{-h,--help}'[show this help]' \
			'*:argument:_shellguard_actions'
		;;
	syscalls)
		_arguments -S \
			'*--simulate[what the filters answer to a call with these arguments\: PROFILE... CALL \[ARGUMENT...\]]' \
			'*--json[as JSON, for programs]' \
			'*'{-h,--help}'[show this help]' \
			'*:argument:_shellguard_calls'
		;;
	doctor)
		_arguments -S \
			'*--json[as JSON, for programs]' \
			'*'{-h,--help}'[show this help]' \
			'*:argument: '
		;;
	profiles)
		_arguments -S \
			'*--json[as JSON, for programs]' \
			'*'{-h,--help}'[show this help]' \
			'*:argument: '
		;;
	ps)
		_arguments -S \
			'*--json[as JSON, for programs]' \
			'*'{-h,--help}'[show this help]' \
			'*:argument: '
		;;
	enter)
		_arguments -S \
			'*'{-q,--quiet}'[no line at the terminal for what is refused (the record has it all the same)]' \
			'*'{-h,--help}'[show this help]' \
			'1:session:_shellguard_running' \
			'*::command:_normal'
		;;
	stop)
		_arguments -S \
			'*--network[cut the session'\''s network, and let the session go on]' \
			'*--keep[with --network\: an address that it keeps, as under Networking.Allow; may be given several times]:ADDRESS: ' \
			'*'{-h,--help}'[show this help]' \
			'*:argument:_shellguard_running'
		;;
	esac
}

_shellguard "$@"
