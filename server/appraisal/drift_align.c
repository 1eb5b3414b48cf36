#include "server/appraisal/drift_parts.h"

enum { CELLS_MAX = 512 * 512 }; /* beyond, what lies between the common ends is one gap */

/* The longest common part of a and b, by lengths: length[i][j] is that of a[i..] and b[j..]. */
static uint16_t *common_lengths(struct arena *arena, const struct bytes *a, size_t num_a,
                                const struct bytes *b, size_t num_b) {
    size_t row = num_b + 1;
    uint16_t *length = arena_array(arena, (num_a + 1) * row, sizeof *length);
    for (size_t i = num_a; length != NULL && i-- > 0;) {
        for (size_t j = num_b; j-- > 0;) {
            uint16_t down = length[(i + 1) * row + j], right = length[i * row + j + 1];
            length[i * row + j] = bytes_equal(a[i], b[j])
                                      ? (uint16_t)(length[(i + 1) * row + j + 1] + 1)
                                  : down >= right ? down
                                                  : right;
        }
    }
    return length;
}

struct walk {
    struct drift_gap *gap;
    size_t num;
    bool open; /* the last gap may grow */
};

static void take(struct walk *w, size_t i, size_t j, bool from_a) {
    if (!w->open) {
        w->gap[w->num++] = (struct drift_gap){i, i, j, j};
        w->open = true;
    }
    if (from_a) {
        w->gap[w->num - 1].a_to = i + 1;
    } else {
        w->gap[w->num - 1].b_to = j + 1;
    }
}

static void walk_common(struct walk *w, const uint16_t *length, const struct bytes *a, size_t num_a,
                        const struct bytes *b, size_t num_b, size_t offset) {
    size_t row = num_b + 1, i = 0, j = 0;
    while (i < num_a || j < num_b) {
        if (i < num_a && j < num_b && bytes_equal(a[i], b[j])) {
            w->open = false;
            i++;
            j++;
        } else if (j == num_b ||
                   (i < num_a && length[(i + 1) * row + j] >= length[i * row + j + 1])) {
            take(w, offset + i++, offset + j, true);
        } else {
            take(w, offset + i, offset + j++, false);
        }
    }
}

struct drift_gap *drift_align(struct arena *arena, size_t *num, const struct bytes *a, size_t num_a,
                              const struct bytes *b, size_t num_b) {
    size_t head = 0, tail = 0;
    while (head < num_a && head < num_b && bytes_equal(a[head], b[head])) {
        head++;
    }
    while (tail < num_a - head && tail < num_b - head &&
           bytes_equal(a[num_a - 1 - tail], b[num_b - 1 - tail])) {
        tail++;
    }
    size_t left_a = num_a - head - tail, left_b = num_b - head - tail;
    struct walk w = {.gap = arena_array(arena, left_a + left_b + 1, sizeof *w.gap)};
    *num = 0;
    if (w.gap == NULL || left_a + left_b == 0) {
        return w.gap;
    }
    if (left_a == 0 || left_b == 0 || (left_a + 1) * (left_b + 1) > CELLS_MAX) {
        w.gap[0] = (struct drift_gap){head, head + left_a, head, head + left_b};
        *num = 1;
        return w.gap;
    }
    const uint16_t *length = common_lengths(arena, a + head, left_a, b + head, left_b);
    if (length == NULL) {
        return NULL;
    }
    walk_common(&w, length, a + head, left_a, b + head, left_b, head);
    *num = w.num;
    return w.gap;
}
