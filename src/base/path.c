/* Names of files, taken apart and put together; nothing here touches the disk. */
#include <ctype.h>
#include <string.h>

#include "base/file.h"

const char *adze_path_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

char *adze_path_beside(adze_arena *arena, const char *path, const char *name)
{
    if (name[0] == '/')
        return adze_arena_strdup(arena, name);
    int folder = (int)(adze_path_name(path) - path);
    return adze_arena_printf(arena, "%.*s%s", folder, path, name);
}

char *adze_path_join(adze_arena *arena, const char *folder, const char *name)
{
    if (name[0] == '/' || folder[0] == 0)
        return adze_arena_strdup(arena, name);
    const char *between = folder[strlen(folder) - 1] == '/' ? "" : "/";
    return adze_arena_printf(arena, "%s%s%s", folder, between, name);
}

char *adze_path_sanitize(adze_arena *arena, const char *name)
{
    char *clean = adze_arena_strdup(arena, name);
    for (char *at = clean; at && *at; at++)
        if (!isalnum((unsigned char)*at) && !strchr("._-", *at))
            *at = '_';
    return clean;
}
