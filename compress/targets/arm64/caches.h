/* A hierarchy of data caches, each set-associative with least-recently-used replacement. */
#ifndef COMPRESS_CACHES_H
#define COMPRESS_CACHES_H

#include <stdbool.h>
#include <stdint.h>

enum { CACHE_LEVELS = 3, LINE_BITS = 6 };

struct traffic {
    uint64_t misses;     /* lines that were fetched from the next level */
    uint64_t writebacks; /* changed lines that were written to it */
};

/* Sizes from the level next to the core outwards: "32:4+512:16", KiB and ways. False if that is not what `text` says. */
bool make_caches(const char *text);

/* One access; it counts once for every line that it touches. */
void access_caches(uint64_t address, uint32_t bytes, bool store);

unsigned cache_levels(void);

/* What passed below a level since the last reset; a reset keeps what the caches hold. */
struct traffic read_traffic(unsigned level);
void reset_traffic(void);

#endif
