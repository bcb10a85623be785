/* find FILE KEY   Prints the text after "KEY": in a file, up to the next quote, comma or brace.
 *
 * The least that a program can do to answer such a question: it knows nothing of JSON. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int main(int argc, char **argv)
{
    if (argc != 3)
        return 2;
    FILE *file = fopen(argv[1], "rb");
    if (!file || fseek(file, 0, SEEK_END))
        return 1;
    long size = ftell(file);
    char *text = size < 0 ? NULL : malloc((size_t)size + 1);
    rewind(file);
    if (!text || fread(text, 1, (size_t)size, file) != (size_t)size)
        return 1;
    text[size] = '\0';
    char quoted[256];
    if (snprintf(quoted, sizeof quoted, "\"%s\":", argv[2]) >= (int)sizeof quoted)
        return 1;
    char *found = strstr(text, quoted);
    if (!found)
        return 1;
    found += strlen(quoted);
    found += strspn(found, " \"");
    printf("%.*s\n", (int)strcspn(found, "\",}"), found);
    return 0;
}
