# bash completion of shellguard; written by "shellguard _document completion-bash".
_shellguard()
{
	local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]} command=${COMP_WORDS[1]}
	COMPREPLY=()
	if [ "$COMP_CWORD" -eq 1 ]; then
		COMPREPLY=($(compgen -W "run check explain can test learn fmt diff why compile unload audit syscalls doctor profiles ps enter stop --help --version" -- "$cur"))
		return
	fi
	case $prev in
	-p | --profile)
		compopt -o filenames; COMPREPLY=($(compgen -W "$(shellguard profiles --json 2>/dev/null | sed -n 's/^{"name":"\([^"]*\)".*/\1/p')" -- "$cur") $(compgen -f -X '!*.toml' -- "$cur"))
		return
		;;
	--ro)
		compopt -o filenames; COMPREPLY=($(compgen -f -- "$cur"))
		return
		;;
	--rw)
		compopt -o filenames; COMPREPLY=($(compgen -f -- "$cur"))
		return
		;;
	--exec)
		compopt -o filenames; COMPREPLY=($(compgen -f -- "$cur"))
		return
		;;
	--deny)
		compopt -o filenames; COMPREPLY=($(compgen -f -- "$cur"))
		return
		;;
	--allow)
		COMPREPLY=()
		return
		;;
	--listen)
		COMPREPLY=()
		return
		;;
	--env)
		COMPREPLY=()
		return
		;;
	--cwd)
		compopt -o filenames; COMPREPLY=($(compgen -d -- "$cur"))
		return
		;;
	--limit)
		COMPREPLY=($(compgen -W "Processes= OpenFiles= FileSize= CpuTime= AddressSpace= Stack= CoreSize= LockedMemory= Memory=" -- "$cur"))
		return
		;;
	--name)
		COMPREPLY=()
		return
		;;
	--flag)
		COMPREPLY=($(compgen -W "loopback dns ping outgoing incoming unix netlink raw read write tmp system home tty devices attributes locks links mknod start descriptors malloc jit threads fork exec signals timers ipc shared-memory aio debug scheduling watch identity create switch clock hostname sysinfo keyring perf reboot modules mount pledge-stdio pledge-rpath pledge-wpath pledge-cpath pledge-dpath pledge-tmppath pledge-inet pledge-mcast pledge-fattr pledge-chown pledge-flock pledge-unix pledge-dns pledge-getpw pledge-sendfd pledge-recvfd pledge-tape pledge-tty pledge-proc pledge-exec pledge-prot_exec pledge-settime pledge-ps pledge-vminfo pledge-id pledge-pf pledge-route pledge-wroute pledge-audio pledge-video pledge-bpf pledge-unveil pledge-error pledge-disklabel pledge-drm pledge-vmm" -- "$cur"))
		return
		;;
	--record)
		compopt -o filenames; COMPREPLY=($(compgen -f -- "$cur"))
		return
		;;
	--session)
		COMPREPLY=($(compgen -W "last $(shellguard audit list 2>/dev/null | sed -n '2,$s/ .*//p')" -- "$cur"))
		return
		;;
	--keep)
		COMPREPLY=()
		return
		;;
	--to)
		COMPREPLY=($(compgen -W "seccomp seccomp-bpf capabilities oci apparmor landlock systemd" -- "$cur"))
		return
		;;
	-o | --output)
		compopt -o filenames; COMPREPLY=($(compgen -f -- "$cur"))
		return
		;;
	esac
	case $command in
	run)
		if [[ $cur == -* ]]; then
			COMPREPLY=($(compgen -W "--profile --ro --rw --exec --deny --allow --listen --no-net --env --cwd --limit --name --flag --record --dry-run --quiet --help " -- "$cur"))
		else
			compopt -o filenames; COMPREPLY=($(compgen -f -- "$cur"))
		fi
		;;
	check)
		if [[ $cur == -* ]]; then
			COMPREPLY=($(compgen -W "--help " -- "$cur"))
		else
			compopt -o filenames; COMPREPLY=($(compgen -W "$(shellguard profiles --json 2>/dev/null | sed -n 's/^{"name":"\([^"]*\)".*/\1/p')" -- "$cur") $(compgen -f -X '!*.toml' -- "$cur"))
		fi
		;;
	explain)
		if [[ $cur == -* ]]; then
			COMPREPLY=($(compgen -W "--profile --ro --rw --exec --deny --allow --listen --no-net --env --cwd --limit --name --flag --long --cost --toml --help " -- "$cur"))
		else
			compopt -o filenames; COMPREPLY=($(compgen -W "$(shellguard profiles --json 2>/dev/null | sed -n 's/^{"name":"\([^"]*\)".*/\1/p')" -- "$cur") $(compgen -f -X '!*.toml' -- "$cur"))
		fi
		;;
	can)
		if [[ $cur == -* ]]; then
			COMPREPLY=($(compgen -W "--profile --json --help " -- "$cur"))
		else
			compopt -o filenames; COMPREPLY=($(compgen -W "read open write exec list see connect listen resolve syscall capability env flag $(shellguard profiles --json 2>/dev/null | sed -n 's/^{"name":"\([^"]*\)".*/\1/p')" -- "$cur") $(compgen -f -- "$cur"))
		fi
		;;
	test)
		if [[ $cur == -* ]]; then
			COMPREPLY=($(compgen -W "--profile --json --help " -- "$cur"))
		else
			compopt -o filenames; COMPREPLY=($(compgen -W "$(shellguard profiles --json 2>/dev/null | sed -n 's/^{"name":"\([^"]*\)".*/\1/p')" -- "$cur") $(compgen -f -X '!*.toml' -- "$cur"))
		fi
		;;
	learn)
		if [[ $cur == -* ]]; then
			COMPREPLY=($(compgen -W "--profile --ro --rw --exec --deny --allow --listen --no-net --env --cwd --limit --name --flag --quiet --replay --secrets --output --help " -- "$cur"))
		else
			COMPREPLY=()
		fi
		;;
	fmt)
		if [[ $cur == -* ]]; then
			COMPREPLY=($(compgen -W "--check --help " -- "$cur"))
		else
			compopt -o filenames; COMPREPLY=($(compgen -f -- "$cur"))
		fi
		;;
	diff)
		if [[ $cur == -* ]]; then
			COMPREPLY=($(compgen -W "--json --help " -- "$cur"))
		else
			compopt -o filenames; COMPREPLY=($(compgen -W "$(shellguard profiles --json 2>/dev/null | sed -n 's/^{"name":"\([^"]*\)".*/\1/p')" -- "$cur") $(compgen -f -X '!*.toml' -- "$cur"))
		fi
		;;
	why)
		if [[ $cur == -* ]]; then
			COMPREPLY=($(compgen -W "--profile --last --session --json --help " -- "$cur"))
		else
			compopt -o filenames; COMPREPLY=($(compgen -f -- "$cur"))
		fi
		;;
	compile)
		if [[ $cur == -* ]]; then
			COMPREPLY=($(compgen -W "--quiet --to --output --installed --load --approximate --help " -- "$cur"))
		else
			compopt -o filenames; COMPREPLY=($(compgen -W "$(shellguard profiles --json 2>/dev/null | sed -n 's/^{"name":"\([^"]*\)".*/\1/p')" -- "$cur") $(compgen -f -X '!*.toml' -- "$cur"))
		fi
		;;
	unload)
		if [[ $cur == -* ]]; then
			COMPREPLY=($(compgen -W "--help " -- "$cur"))
		else
			COMPREPLY=()
		fi
		;;
	audit)
		if [[ $cur == -* ]]; then
			COMPREPLY=($(compgen -W "--json --follow --help " -- "$cur"))
		else
			COMPREPLY=($(compgen -W "show list verify last $(shellguard audit list 2>/dev/null | sed -n '2,$s/ .*//p')" -- "$cur"))
		fi
		;;
	syscalls)
		if [[ $cur == -* ]]; then
			COMPREPLY=($(compgen -W "--simulate --json --help " -- "$cur"))
		else
			COMPREPLY=($(compgen -W "$(shellguard syscalls --json 2>/dev/null | sed -n 's/^{[^,]*,"name":"\([^"]*\)".*/\1/p')" -- "$cur"))
		fi
		;;
	doctor)
		if [[ $cur == -* ]]; then
			COMPREPLY=($(compgen -W "--json --help " -- "$cur"))
		else
			COMPREPLY=()
		fi
		;;
	profiles)
		if [[ $cur == -* ]]; then
			COMPREPLY=($(compgen -W "--json --help " -- "$cur"))
		else
			COMPREPLY=()
		fi
		;;
	ps)
		if [[ $cur == -* ]]; then
			COMPREPLY=($(compgen -W "--json --help " -- "$cur"))
		else
			COMPREPLY=()
		fi
		;;
	enter)
		if [[ $cur == -* ]]; then
			COMPREPLY=($(compgen -W "--quiet --help " -- "$cur"))
		else
			COMPREPLY=($(compgen -W "$(shellguard ps 2>/dev/null | sed -n '2,$s/ .*//p')" -- "$cur"))
		fi
		;;
	stop)
		if [[ $cur == -* ]]; then
			COMPREPLY=($(compgen -W "--network --keep --help " -- "$cur"))
		else
			COMPREPLY=($(compgen -W "$(shellguard ps 2>/dev/null | sed -n '2,$s/ .*//p')" -- "$cur"))
		fi
		;;
	esac
}
complete -F _shellguard shellguard
