#include "api/accept.h"

#include <stdbool.h>
#include <string.h>
#include <strings.h>

/* A view of what is left of the header. */
struct rest {
    const char *at;
};

struct part {
    const char *text;
    size_t len;
};

static const char blank[] = " \t";
static const char separators[] = " \t,;=\"/()<>@:\\[]?{}";

static void skip_blank(struct rest *rest) {
    rest->at += strspn(rest->at, blank);
}

static bool take_char(struct rest *rest, char c) {
    if (*rest->at != c) {
        return false;
    }
    rest->at++;
    return true;
}

static bool take_token(struct rest *rest, struct part *out) {
    *out = (struct part){rest->at, strcspn(rest->at, separators)};
    rest->at += out->len;
    return out->len > 0;
}

/* A token, or a quoted string without escapes. */
static bool take_value(struct rest *rest, struct part *out) {
    if (!take_char(rest, '"')) {
        return take_token(rest, out);
    }
    *out = (struct part){rest->at, strcspn(rest->at, "\"\\")};
    rest->at += out->len;
    return take_char(rest, '"');
}

static bool is_same(struct part part, const char *text) {
    return strlen(text) == part.len && strncasecmp(part.text, text, part.len) == 0;
}

/* "0.25" in thousandths; -1: it is none. */
static int thousandths(struct part q) {
    int value = 0;
    if (q.len == 0 || q.len > 5 || (q.text[0] != '0' && q.text[0] != '1') ||
        (q.len > 1 && q.text[1] != '.')) {
        return -1;
    }
    for (size_t i = 0; i < 5; i++) {
        char c = i < q.len ? q.text[i] : '0';
        if (i == 1) {
            continue;
        }
        if (c < '0' || c > '9') {
            return -1;
        }
        value = value * 10 + (c - '0');
    }
    return value <= 1000 ? value : -1;
}

struct range {
    struct part type, subtype;
    struct part parameter, value; /* the one that is none of q's; len 0: none */
    bool strange;                 /* there are more than one */
    int q;
};

/* One range, up to the comma or the end. False: it is malformed. */
static bool take_range(struct rest *rest, struct range *out) {
    *out = (struct range){.q = 1000};
    if (!take_token(rest, &out->type) || !take_char(rest, '/') ||
        !take_token(rest, &out->subtype)) {
        return false;
    }
    for (skip_blank(rest); take_char(rest, ';'); skip_blank(rest)) {
        struct part name, value;
        skip_blank(rest);
        if (!take_token(rest, &name) || !take_char(rest, '=') || !take_value(rest, &value)) {
            return false;
        }
        if (is_same(name, "q")) {
            out->q = thousandths(value);
        } else {
            out->strange = out->strange || out->parameter.len > 0;
            out->parameter = name;
            out->value = value;
        }
    }
    return out->q >= 0 && (*rest->at == ',' || *rest->at == '\0');
}

/* To the next range, quotes or not. */
static void skip_range(struct rest *rest) {
    bool quoted = false;
    for (; *rest->at != '\0' && (quoted || *rest->at != ','); rest->at++) {
        quoted = *rest->at == '"' ? !quoted : quoted;
    }
}

/* How closely the range fits: 0: not at all; 1: anything, 2: of the type, 3: the very one, 4: with its
 * parameter. */
static int fit(const struct range *range, const struct media_offer *offer) {
    size_t type_len = strcspn(offer->type, "/");
    const char *subtype = offer->type + type_len + 1;
    bool any_type = is_same(range->type, "*"), any_subtype = is_same(range->subtype, "*");
    bool of_type =
        range->type.len == type_len && strncasecmp(range->type.text, offer->type, type_len) == 0;
    if (range->strange || (range->parameter.len > 0 && any_subtype)) {
        return 0;
    }
    if (any_subtype) {
        return any_type ? 1 : of_type ? 2 : 0;
    }
    if (!of_type || !is_same(range->subtype, subtype)) {
        return 0;
    }
    if (range->parameter.len == 0) {
        return 3;
    }
    bool wanted = offer->parameter != NULL && is_same(range->parameter, offer->parameter) &&
                  strlen(offer->value) == range->value.len &&
                  strncmp(offer->value, range->value.text, range->value.len) == 0;
    return wanted ? 4 : 0;
}

/* What the closest range says of the offer, in thousandths. */
static int quality(const char *accept, const struct media_offer *offer) {
    struct rest rest = {accept};
    int closest = 0, q = 0;
    for (;;) {
        struct range range;
        rest.at += strspn(rest.at, " \t,");
        if (*rest.at == '\0') {
            return q;
        }
        if (take_range(&rest, &range)) {
            int how = fit(&range, offer);
            q = how > closest ? range.q : q;
            closest = how > closest ? how : closest;
        } else {
            skip_range(&rest);
        }
    }
}

size_t accept_choose(const char *accept, const struct media_offer *offer, size_t num) {
    size_t best = num;
    int best_q = 0;
    for (size_t i = 0; i < num; i++) {
        int q = accept == NULL ? 1000 : quality(accept, &offer[i]);
        if (q > best_q) {
            best = i;
            best_q = q;
        }
    }
    return best;
}
