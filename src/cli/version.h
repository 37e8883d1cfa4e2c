/* The version: one place. */
#pragma once

#define SG_VERSION "0.1.0"
