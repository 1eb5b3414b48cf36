/* What a baseline would do if it were in force, on what is kept of the devices: who would pass, who
 * would be cut off, and why. A thread of its own carries previews out, one after another; nothing is
 * written. */
#ifndef GATEHOUSE_FLEET_PREVIEW_H
#define GATEHOUSE_FLEET_PREVIEW_H

#include "server/base/log.h"
#include "server/fleet/rejudge.h"

enum { PREVIEW_MAX_GROUPS = 100, PREVIEW_EXAMPLES = 5, PREVIEW_QUEUE_MAX = 8 };

/* Devices that would fail for one cause: code, rule, PCR and what was found. */
struct preview_group {
    struct judgement_cause cause;
    int64_t devices, cut_off;                 /* cut_off: of these, those that are trusted now */
    char example[PREVIEW_EXAMPLES][STORE_ID]; /* the first by id; those cut off come first */
    size_t num_examples, num_cut_off;         /* num_cut_off: of the examples */
};
struct preview_counts { /* devices that are enrolled or quarantined */
    int64_t devices, pass, fail;
    int64_t cut_off;       /* trusted now, would fail */
    int64_t admitted;      /* not trusted now, would pass */
    int64_t tier_changed;  /* trusted now and then, with another tier */
    int64_t without_facts; /* nothing is kept of what they booted: in none of the others */
    int64_t damaged;       /* what is kept cannot be read: likewise */
};

/* Embedded in the submitter's own struct; lives until done. */
struct preview {
    /* What is asked: */
    const char *model, *baseline_id;
    struct bytes document; /* the baseline's */
    const char *const *replaces;
    size_t num_replaces;
    bool alone;          /* see struct judgement_draft */
    struct arena *arena; /* for the groups; the preview's own until done */
    void (*done)(
        struct preview *preview); /* on the preview's thread, or on the one that stops it */
    /* What came of it: */
    enum status status; /* OK; MALFORMED, LIMIT: the document does not compile, as `detail` says;
                           NOT_FOUND: the model is gone; BUSY: it is stopping; STORAGE, MEMORY */
    struct detail detail;
    struct preview_counts counts;
    struct preview_group *group; /* most cut off first */
    size_t num_groups;
    bool more_groups; /* there were others */
    int64_t took_ms;
    struct preview *next; /* the thread's */
};

struct previews;
struct previews_options { /* borrowed; outlives it */
    struct store *store;
    struct policy_holder *policy;
};
/* STORAGE, MEMORY. */
MUST_USE enum status previews_start(struct previews **out, const struct previews_options *options,
                                    struct detail *detail);
/* Thread-safe. OK: done will be called (maybe before this returns). BUSY: PREVIEW_QUEUE_MAX wait, or
 * it is stopping; done is not called. */
MUST_USE enum status previews_submit(struct previews *previews, struct preview *preview);
/* Ends what runs and what waits with BUSY; from then on it takes no more. NULL is allowed. */
void previews_stop(struct previews *previews);
void previews_free(struct previews *previews);            /* stopped; NULL is allowed */
uint64_t previews_count(const struct previews *previews); /* carried out */

#endif
