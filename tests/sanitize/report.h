/* Where sanitizers leave what they found in a process that can no longer write anywhere. */
#pragma once

/* Maps the file that SG_SANITIZER_REPORT names; without it reports go only where sanitizers send them. Called before main. */
void sg_sanitizer_report_open(void);
