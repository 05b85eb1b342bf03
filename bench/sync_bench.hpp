#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

/// One side of a row: what one library does.
struct subject {
    std::string_view row;
    std::string_view library;
    /// Carries out `count` operations; returns what one took, in nanoseconds.
    double (*measure)(std::int64_t count);
};

std::vector<subject> mutex_subjects();
std::vector<subject> channel_subjects();
std::vector<subject> condition_subjects();
std::vector<subject> select_subjects();
std::vector<subject> cross_thread_subjects();
std::vector<subject> skynet_subjects();
