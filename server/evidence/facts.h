/* Facts: what a device proved, whatever the evidence format, and how each fact is vouched for.
 * Appraisal reads only these, and of these only what something vouches for. All views borrow from the
 * evidence or the arena it was verified with. A format's folder fills them in; keeping them and
 * getting them back is tpm2/kept.h. */
#ifndef GATEHOUSE_EVIDENCE_FACTS_H
#define GATEHOUSE_EVIDENCE_FACTS_H

#include "server/base/arena.h"
#include "server/tpm/pcr.h"

enum vouching {
    VOUCHED_CLAIMED = 0, /* nothing vouches: never read by a rule */
    VOUCHED_BOUND,       /* event data whose hash is the event's digest, or whose coverage the
                            specification states */
    VOUCHED_REPLAYED,    /* a digest in a log that replays to a quoted PCR */
    VOUCHED_QUOTED       /* a PCR in the signed selection */
};
const char *vouching_name(enum vouching vouching); /* "claimed", "bound", "replayed", "quoted" */

struct fact_pcr {
    bool quoted; /* in the signed selection; then value is what the TPM holds */
    bool logged; /* the log extends it, and replays to value */
    uint8_t value[DIGEST_MAX];
};
struct fact_bank {
    enum hash_alg alg;
    struct fact_pcr pcr[PCR_COUNT];
};

enum { FACTS_MAX_EVENTS = 8192, FACT_NO_EVENT = UINT32_MAX };

struct fact_event {
    uint32_t index;     /* 0-based position in the log */
    uint32_t pcr, type; /* type is a claim: no digest covers it */
    enum vouching
        digest_vouched; /* REPLAYED; or CLAIMED: it extends nothing, or its PCR is not quoted */
    enum vouching data_vouched;         /* BOUND, or CLAIMED */
    struct bytes digest[PCR_MAX_BANKS]; /* parallel to facts.bank; empty where nothing vouches */
    struct bytes data;                  /* all of it, whatever vouches */
    struct bytes bound; /* the part of data whose hash the digest is: all of it, or what stands
                           behind a label that the hash leaves out, or the same name in ASCII where
                           systemd-stub logs it in UTF-16; empty unless data_vouched */
};

/* Yes, no, or nothing vouched for says so. */
enum fact_flag { FACT_UNKNOWN = 0, FACT_NO, FACT_YES };

/* --- Secure Boot: from bound variables of PCR 7 alone --- */

enum fact_key_kind {
    FACT_KEY_CERTIFICATE, /* sha256 is that of the certificate's DER */
    FACT_KEY_HASH,        /* sha256 is the entry itself: an image's Authenticode digest */
    FACT_KEY_OTHER        /* any other type of entry; sha256 is that of its bytes */
};
struct fact_key {
    enum fact_key_kind kind;
    uint8_t sha256[32];
    const char *subject; /* of a certificate that could be read, one line; else NULL */
    struct bytes der;    /* of a certificate, as measured; else empty */
    uint8_t owner[16];   /* SignatureOwner, as UEFI stores a GUID; zeros: not known */
};
struct fact_keys {
    bool known;     /* the variable was measured, and its data are bound; it may be empty */
    uint32_t event; /* which measured it; FACT_NO_EVENT: none. Also set when its data are not bound,
                       so that a finding can name it */
    struct fact_key *key;
    size_t num;
};
/* What admitted an image: an entry of db, of MokList or of shim's own, as EV_EFI_VARIABLE_AUTHORITY
 * measures it. Without a separator before it in PCR 7 it is not an authority but configuration. */
struct fact_authority {
    uint32_t event;
    const char *variable; /* "db", "MokList", "Shim", "vendor_db", ...; "": the data are not bound,
                             or no variable, and the key is of kind OTHER and zeros */
    struct fact_key key;
};
struct fact_secure_boot {
    enum fact_flag enabled, setup_mode, audit_mode, deployed_mode;
    uint32_t enabled_event; /* of the SecureBoot variable; FACT_NO_EVENT: none */
    struct fact_keys platform_key, key_exchange_keys, db, dbx;
    struct fact_authority *authority;
    size_t num_authorities;
    /* PCR 7 holds something that says that the settings are not to be believed: a debugger, an error
     * separator, the same variable measured twice with other contents. The event, or FACT_NO_EVENT.
     */
    uint32_t distrusted_event;
    const char *distrusted_why; /* NULL: nothing */
};

/* --- what ran --- */

enum fact_image_kind {
    FACT_IMAGE_BOOT,  /* PCR 4: boot loaders, kernels, EFI applications */
    FACT_IMAGE_DRIVER /* PCR 2: option ROMs and drivers that are not the firmware's own */
};
/* An event type is a claim, so that in these PCRs whatever was measured counts as an image unless its
 * data are bound and one of the texts or separators that specifications put there. */
struct fact_image {
    uint32_t event;
    enum fact_image_kind kind;
    const struct bytes *digest; /* parallel to facts.bank: the Authenticode digest, REPLAYED */
    const char *path;           /* a claim: no digest covers it; NULL: none */
};

/* --- firmware: PCR 0 --- */

struct fact_blob {
    uint32_t event;
    const struct bytes *digest; /* REPLAYED */
    uint64_t base, length;      /* claims */
    const char *description;    /* a claim; NULL: none */
};
struct fact_firmware {
    const char *version;        /* EV_S_CRTM_VERSION, BOUND; NULL: none that is text */
    struct bytes version_bytes; /* the same, as measured */
    uint32_t version_event;     /* FACT_NO_EVENT: none */
    struct fact_blob *blob;
    size_t num_blobs;
};

/* --- the operating system's loader and start: PCRs 8, 9, 11, 12, 14 --- */

#define FACT_TEXT_UNKNOWN "\n(the log does not say)"
enum fact_loader { FACT_LOADER_GRUB, FACT_LOADER_SYSTEMD_STUB, FACT_LOADER_LINUX_STUB };
/* A text that the digest is the hash of. Its label ("kernel_cmdline: ") is a claim: `labelled` is
 * false for a text that no label calls a command line and that would boot a kernel all the same
 * ("linux /vmlinuz ..."), so that relabelling hides nothing. */
struct fact_command_line {
    uint32_t event;
    enum fact_loader loader;
    bool labelled;
    /* FACT_TEXT_UNKNOWN: an event of PCR 8 or 12 whose data are not bound, so that it may be one. No
     * baseline can allow that text. */
    const char *text;  /* as the kernel gets it, without the image's path of GRUB's first word */
    const char *image; /* GRUB: that first word; else NULL */
};
/* PCR 9 (GRUB, Linux's EFI stub), PCRs 11 to 13 (systemd-stub), PCR 14 (shim's "MokList", ...). */
struct fact_file {
    uint32_t event;
    uint32_t pcr;
    /* REPLAYED, of the contents. Empty in every bank: GRUB was told to load it (the event is the
     * command of PCR 8), and no event of PCR 9 is left that could be it. */
    const struct bytes *digest;
    const char *name; /* a claim; NULL: none. ".initrd" of a UKI's section is bound */
    bool is_initrd;   /* by name or tag, or as a bound command of GRUB names it: a claim
                                   that only ever adds a demand */
};
struct fact_sbat_level { /* of SbatLevel, measured by shim into PCR 7 as an authority */
    const char *component;
    uint32_t level;
};
struct fact_os {
    struct fact_command_line *command_line;
    size_t num_command_lines;
    struct fact_file *file;
    size_t num_files;
    struct fact_sbat_level *sbat;
    size_t num_sbat;
    uint32_t sbat_event;   /* FACT_NO_EVENT: shim measured none */
    const char *sbat_date; /* "2023012900"; NULL */
};

/* --- IMA: the start of the log that PCR 10 confirms --- */

struct fact_ima_entry {
    uint32_t index; /* in the log of this boot; FACT_NO_EVENT: not kept */
    bool violation; /* the kernel could not tell what was read, and nothing vouches for the rest */
    bool readable;  /* the data are what the template's name says, and can be nothing else; what
                          follows, but for name and data, is empty without it */
    bool verity;    /* digest is of the file's fs-verity descriptor */
    enum hash_alg alg; /* HASH_NONE: no file digest, or of an algorithm that is not taken */
    struct bytes template_name; /* "ima-ng" */
    struct bytes
        path; /* as the kernel wrote it, without its zero ('_' stands for spaces); or empty */
    struct bytes alg_name;  /* "sha256" */
    struct bytes digest;    /* of the file, BOUND by the template digest */
    struct bytes signature; /* security.ima as measured; empty: none */
    struct bytes data;      /* all of the template's data, as entries are kept */
};
/* Where a confirmed part of the log ends, so that the next evidence of the same boot may go on from
 * there. */
struct fact_ima_bank {
    enum hash_alg alg;
    bool padded;               /* by SHA-1 template digests with zeros behind */
    uint8_t value[DIGEST_MAX]; /* PCR 10 */
};
struct fact_ima_position {
    uint32_t reset_count, restart_count;      /* which boot */
    uint32_t num_entries;                     /* from the start of the log, whatever they extend */
    uint64_t num_bytes;                       /* of the log, as the device sends it */
    struct fact_ima_bank bank[PCR_MAX_BANKS]; /* every quoted one */
    size_t num_banks;
    enum hash_alg aggregate_alg; /* of entry 0, when it is a boot_aggregate; else HASH_NONE */
    uint8_t aggregate[DIGEST_MAX];
};
struct fact_ima {
    bool known;                    /* PCR 10 is quoted, and the log leads to it */
    bool sha1_only;                /* in every bank that vouches, by SHA-1 template digests */
    enum fact_flag boot_aggregate; /* entry 0 is the hash of the quoted PCRs 0-9 (or 0-7) */
    uint32_t first; /* the entries here begin with this one; those before were confirmed, and
                              judged, with earlier evidence of the same boot */
    struct fact_ima_entry *entry;
    size_t num_entries;
    uint32_t num_confirmed; /* first + num_entries + those that extend other PCRs */
    struct fact_ima_position end;
};

struct facts {
    /* From the signed quote: */
    uint64_t tpm_firmware_version, tpm_clock;
    uint32_t tpm_reset_count, tpm_restart_count;
    bool tpm_safe;
    struct pcr_selection selection;
    struct fact_bank bank[PCR_MAX_BANKS]; /* one for each bank of the selection, in its order */
    size_t num_banks;
    /* From the log, when there is one: */
    bool has_log;
    struct bytes log; /* its bytes */
    struct fact_event *event;
    size_t num_events;
    struct fact_secure_boot secure_boot;
    struct fact_image *image; /* in the log's order */
    size_t num_images;
    struct fact_firmware firmware;
    struct fact_os os;
    struct fact_ima ima;
};

/* NULL when the bank is not among the facts. */
const struct fact_bank *facts_bank(const struct facts *facts, enum hash_alg alg);
/* Its position among the facts' banks, for what is parallel to them; facts->num_banks: none. */
size_t facts_bank_index(const struct facts *facts, enum hash_alg alg);
/* The PCR of the event with this index in the log; -1: there is no such event. */
int facts_event_pcr(const struct facts *facts, uint32_t event);
/* "yes", "no", "unknown" */
const char *fact_flag_name(enum fact_flag flag);

#endif
