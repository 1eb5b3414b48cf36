/* Words of findings. Private to server/appraisal. All of it lies in an arena; NULL on overflow, which
 * appraise() sees at its end. */
#ifndef GATEHOUSE_APPRAISAL_RULE_TEXT_H
#define GATEHOUSE_APPRAISAL_RULE_TEXT_H

#include "server/appraisal/rule_read.h"

const char *hex_text(struct arena *arena, struct bytes value);
/* "one of: 15.8 (<hex>), <hex> and 2 more" */
const char *allowed_text(struct arena *arena, const struct allowed *allowed);
/* What an administrator calls them: "the 2 allowed (15.8, 80a66d53...)" */
const char *allowed_names(struct arena *arena, const struct allowed *allowed);
/* `next` behind `text` (NULL or "": nothing yet) and a separator. */
const char *joined_text(struct arena *arena, const char *text, const char *separator,
                        const char *next);
/* Text from a log as a finding may show it: valid UTF-8 without control characters; what is not
 * becomes \xNN, and a backslash two. A long one is cut, and told apart by its length and SHA-256:
 * no two texts are shown alike. */
const char *shown_text(struct arena *arena, const char *text);

#endif
