#pragma once

#include <fstream>
#include <stdexcept>
#include <string>

/// Resident memory and page tables of this process, in bytes.
inline long used_memory() {
    std::ifstream status{"/proc/self/status"};
    long kibibytes = 0;
    int found = 0;
    for (std::string line; std::getline(status, line);) {
        if (line.starts_with("VmRSS:") || line.starts_with("VmPTE:")) {
            kibibytes += std::stol(line.substr(6));
            ++found;
        }
    }
    if (found != 2)
        throw std::runtime_error{"/proc/self/status has no VmRSS or no VmPTE"};
    return kibibytes * 1024;
}
