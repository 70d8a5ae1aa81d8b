/* Open addressing with linear probing; removal shifts later entries back, so there are no tombstones.
 * A slot is empty when its key is NULL. */
#include "base/map.h"

#include <string.h>

#include "base/hash.h"

adze_map adze_map_in(adze_arena *arena)
{
    return (adze_map){.arena = arena};
}

/* The slot of the key, or the empty slot where it belongs. */
static adze_map_slot *find(const adze_map *map, const char *key, uint64_t hash)
{
    size_t mask = map->capacity - 1;
    for (size_t i = (size_t)hash & mask;; i = (i + 1) & mask) {
        adze_map_slot *slot = &map->slots[i];
        if (!slot->key || (slot->hash == hash && strcmp(slot->key, key) == 0))
            return slot;
    }
}

static bool grow(adze_map *map)
{
    adze_map bigger = *map;
    bigger.capacity = map->capacity ? map->capacity * 2 : 16;
    bigger.slots = ADZE_ARENA_ARRAY(map->arena, adze_map_slot, bigger.capacity);
    if (!bigger.slots)
        return false;
    for (size_t i = 0; i < map->capacity; i++)
        if (map->slots[i].key)
            *find(&bigger, map->slots[i].key, map->slots[i].hash) = map->slots[i];
    *map = bigger;
    return true;
}

bool adze_map_set(adze_map *map, const char *key, void *value)
{
    if (map->count + 1 > map->capacity / 4 * 3 && !grow(map))
        return false;
    uint64_t hash = adze_hash64(key, strlen(key));
    adze_map_slot *slot = find(map, key, hash);
    if (!slot->key) {
        char *copy = adze_arena_strdup(map->arena, key);
        if (!copy)
            return false;
        *slot = (adze_map_slot){.key = copy, .hash = hash};
        map->count++;
    }
    slot->value = value;
    return true;
}

static adze_map_slot *lookup(const adze_map *map, const char *key)
{
    if (map->count == 0)
        return NULL;
    adze_map_slot *slot = find(map, key, adze_hash64(key, strlen(key)));
    return slot->key ? slot : NULL;
}

void *adze_map_get(const adze_map *map, const char *key)
{
    const adze_map_slot *slot = lookup(map, key);
    return slot ? slot->value : NULL;
}

bool adze_map_has(const adze_map *map, const char *key)
{
    return lookup(map, key) != NULL;
}

void adze_map_remove(adze_map *map, const char *key)
{
    adze_map_slot *gone = lookup(map, key);
    if (!gone)
        return;
    size_t mask = map->capacity - 1, hole = (size_t)(gone - map->slots);
    for (size_t i = (hole + 1) & mask; map->slots[i].key; i = (i + 1) & mask) {
        size_t home = (size_t)map->slots[i].hash & mask;
        if (((i - home) & mask) >= ((i - hole) & mask)) { /* may move back into the hole */
            map->slots[hole] = map->slots[i];
            hole = i;
        }
    }
    map->slots[hole] = (adze_map_slot){0};
    map->count--;
}
