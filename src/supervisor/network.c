/*
 * connect, bind and their like. A world has a network of its own that leads nowhere; until a rule names an address, every
 * call that would name one is refused here.
 */
#include <errno.h>

#include "supervisor/supervisor.h"
#include "tables/syscalls.h"

void sg_handle_network(struct sg_request *request)
{
	const struct sg_syscall *call = sg_syscall_by_number((unsigned int)request->notification.data.nr);
	const struct sg_decision decision = {.verdict = SG_VERDICT_DENY, .error = EACCES, .reason = "no rule allows this address"};

	request->operation = call->name;
	(void)sg_report(request, &decision, "a socket address", NULL);
	sg_answer_error(request, decision.error);
}
