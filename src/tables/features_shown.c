/* By itself in a file: the program that tests build has another one (tests/live/features_hidden.c) in its
 * place. */
#include "tables/features.h"

bool sg_feature_hidden(enum sg_feature feature)
{
	(void)feature;
	return false;
}
