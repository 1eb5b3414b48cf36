/* What a challenge asked for, so that the evidence is held against just that. */
#ifndef GATEHOUSE_API_DEVICE_CHALLENGE_CONTEXT_H
#define GATEHOUSE_API_DEVICE_CHALLENGE_CONTEXT_H

#include "api/request.h"

/* SHA-256 of the selection's canonical text. */
void challenge_context(uint8_t out[static 32], const struct pcr_selection *selection);
/* What the device's model asks for now; false when the model is not known. */
bool device_selection(struct request *r, struct pcr_selection *out);

#endif
