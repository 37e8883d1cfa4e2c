/* The network part of systemd's back end: address filters of the unit's control group, and ports that it may bind. */
#pragma once

#include "export/export.h"

/* Judges a rule about addresses other than unix:. */
struct sg_hold sg_systemd_judge_address(const struct sg_export *with, const struct sg_rule *rule);

/* Appends PrivateNetwork=, IPAddressAllow=, IPAddressDeny=, SocketBindAllow= and SocketBindDeny=. */
void sg_systemd_append_network(const struct sg_policy *policy, struct sg_buffer *out);
