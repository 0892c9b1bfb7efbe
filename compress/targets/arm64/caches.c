/* Each access goes to the first level; a miss goes on to the next, and so does a changed line that is thrown out, whole,
 * so that the next level need not fetch what it lacks of it.
 *
 * There is no prefetching and no translation: addresses are the guest's virtual ones, so the same program at the same
 * addresses always sees the same hits. A line is allocated on loads and stores alike (write-back, write-allocate). */
#include "caches.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct line {
    uint64_t number; /* address >> LINE_BITS, plus 1: 0 is an empty line */
    bool changed;
};

struct cache {
    unsigned sets, ways;
    struct line *lines;  /* by set; within it, most recently used first */
    struct traffic traffic;
};

static struct cache levels[CACHE_LEVELS];
static unsigned level_count;

static bool make_cache(struct cache *cache, unsigned kib, unsigned ways)
{
    unsigned lines = kib << (10 - LINE_BITS);
    if (!lines || !ways || lines % ways)
        return false;
    cache->sets = lines / ways;
    cache->ways = ways;
    cache->lines = calloc(lines, sizeof *cache->lines);
    return cache->lines;
}

bool make_caches(const char *text)
{
    unsigned kib, ways;
    int read;
    while (level_count < CACHE_LEVELS && sscanf(text, "%u:%u%n", &kib, &ways, &read) == 2) {
        if (!make_cache(&levels[level_count++], kib, ways))
            return false;
        text += read;
        if (*text == '\0')
            return true;
        if (*text++ != '+')
            return false;
    }
    return false;
}

static void access_line(unsigned level, uint64_t number, bool store, bool whole)
{
    if (level == level_count)
        return;
    struct cache *cache = &levels[level];
    struct line *set = cache->lines + (number % cache->sets) * cache->ways;
    unsigned way = 0;
    while (way < cache->ways && set[way].number != number)
        way++;
    struct line used = {number, store};
    if (way < cache->ways) {
        used.changed |= set[way].changed;
    } else {
        struct line victim = set[--way];
        if (victim.number && victim.changed) {
            cache->traffic.writebacks++;
            access_line(level + 1, victim.number, true, true);
        }
        if (!whole) {
            cache->traffic.misses++;
            access_line(level + 1, number, false, false);
        }
    }
    memmove(set + 1, set, way * sizeof *set);
    set[0] = used;
}

void access_caches(uint64_t address, uint32_t bytes, bool store)
{
    uint64_t last = (address + bytes - 1) >> LINE_BITS;
    for (uint64_t line = address >> LINE_BITS; line <= last; line++)
        access_line(0, line + 1, store, false);
}

unsigned cache_levels(void)
{
    return level_count;
}

struct traffic read_traffic(unsigned level)
{
    return levels[level].traffic;
}

void reset_traffic(void)
{
    for (unsigned level = 0; level < level_count; level++)
        levels[level].traffic = (struct traffic){0};
}
