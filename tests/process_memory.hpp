#pragma once

#include <cstddef>
#include <cstdio>
#include <cstring>

/// A line `key: number kB` of a file of /proc, in bytes; 0 if there is none. `file` may hold the key several times: the sum.
inline std::size_t kibibytes_in(const char* file, const char* key) {
    std::size_t sum = 0;
    std::FILE* const lines = std::fopen(file, "r");
    if (!lines)
        return 0;
    char line[512];
    while (std::fgets(line, sizeof line, lines)) {
        unsigned long kibibytes = 0;
        if (std::strncmp(line, key, std::strlen(key)) == 0 &&
            std::sscanf(line + std::strlen(key), ": %lu kB", &kibibytes) == 1)
            sum += kibibytes * 1024;
    }
    std::fclose(lines);
    return sum;
}

/// Resident memory of this process.
inline std::size_t resident_bytes() {
    return kibibytes_in("/proc/self/status", "VmRSS");
}

inline std::size_t page_table_bytes() {
    return kibibytes_in("/proc/self/status", "VmPTE");
}

/// Number of mappings, of which vm.max_map_count limits the number.
inline std::size_t mappings() {
    std::size_t count = 0;
    std::FILE* const lines = std::fopen("/proc/self/maps", "r");
    if (!lines)
        return 0;
    for (int letter = 0; (letter = std::fgetc(lines)) != EOF;)
        count += letter == '\n' ? 1 : 0;
    std::fclose(lines);
    return count;
}
