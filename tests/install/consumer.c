/* What a user of the installed library writes: built through pkg-config and through CMake. */
#include <adze/adze.h>
#include <stdio.h>
#include <string.h>

int main(void)
{
    if (strcmp(adze_version(), ADZE_VERSION) != 0)
        return 1;
    puts(adze_version());
    return 0;
}
