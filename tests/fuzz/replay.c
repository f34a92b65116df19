/* SPDX-License-Identifier: MIT */
/*
 * Runs the fuzzer's target over files and directories of inputs, where there is no libFuzzer; then over as many
 * random inputs as PT_FUZZ_RANDOM says. PT_FUZZ_SEED chooses which.
 */
#include "fuzz.h"
#include "random.h"

#include <dirent.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#define LARGEST_INPUT 20000

static size_t replayed;
static char current[1024]; /* the input that is being run */

static void name_it(int signal_number)
{
    fprintf(stderr, "in %s\n", current);
    signal(signal_number, SIG_DFL);
}

static int replay_file(const char *name)
{
    uint8_t bytes[LARGEST_INPUT];
    FILE *file = fopen(name, "rb");
    size_t size;

    if (!file) {
        fprintf(stderr, "cannot read %s\n", name);
        return 1;
    }
    size = fread(bytes, 1, sizeof(bytes), file);
    fclose(file);
    snprintf(current, sizeof(current), "%s", name);
    LLVMFuzzerTestOneInput(bytes, size);
    replayed++;
    return 0;
}

static int replay(const char *name)
{
    DIR *directory = opendir(name);
    const struct dirent *entry;
    int failures = 0;

    if (!directory)
        return replay_file(name);
    while ((entry = readdir(directory)) != NULL) {
        char path[1024];

        if (entry->d_name[0] == '.')
            continue;
        snprintf(path, sizeof(path), "%s/%s", name, entry->d_name);
        failures += replay_file(path);
    }
    closedir(directory);
    return failures;
}

int main(int argc, char **argv)
{
    uint64_t random_inputs = number_from_environment("PT_FUZZ_RANDOM", RANDOM_INPUTS);
    struct random random = {number_from_environment("PT_FUZZ_SEED", 1)};
    uint64_t calls;
    int failures = 0;

    LLVMFuzzerInitialize(&argc, &argv);
    signal(SIGABRT, name_it);
    for (int i = 1; i < argc; i++)
        failures += replay(argv[i]);
    calls = fuzz_calls;
    for (uint64_t i = 0; i < random_inputs; i++) {
        uint8_t bytes[LARGEST_INPUT];
        size_t size = (size_t)(16 + random_below(&random, 600));

        for (size_t j = 0; j < size; j++)
            bytes[j] = (uint8_t)random_next(&random);
        snprintf(current, sizeof(current), "random input %llu", (unsigned long long)i);
        LLVMFuzzerTestOneInput(bytes, size);
    }
    printf("%zu inputs replayed, %llu calls judged; %llu random ones, %llu calls\n", replayed,
           (unsigned long long)calls, (unsigned long long)random_inputs, (unsigned long long)(fuzz_calls - calls));
    return failures != 0 || replayed == 0;
}
