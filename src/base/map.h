/* Hash map from strings to pointers (open addressing, keys copied into an arena). */
#ifndef ADZE_BASE_MAP_H
#define ADZE_BASE_MAP_H
#include "base/memory.h"

typedef struct adze_map_slot {
    const char *key;
    uint64_t hash;
    void *value;
} adze_map_slot;

typedef struct adze_map {
    adze_arena *arena; /* where keys and slots live */
    adze_map_slot *slots;
    size_t count, capacity;
} adze_map;

adze_map adze_map_in(adze_arena *arena);
/* Sets or replaces; false when out of memory. */
bool adze_map_set(adze_map *map, const char *key, void *value);
void *adze_map_get(const adze_map *map, const char *key); /* NULL when absent */
bool adze_map_has(const adze_map *map, const char *key);
void adze_map_remove(adze_map *map, const char *key);

#endif
