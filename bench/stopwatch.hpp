#pragma once

#include <chrono>
#include <cstdint>
#include <ctime>

/// Runs from its construction on.
class stopwatch {
public:
    enum class time : clockid_t {
        processor = CLOCK_PROCESS_CPUTIME_ID, ///< of all threads; stops while another process has the core
        wall = CLOCK_MONOTONIC
    };

    explicit stopwatch(time which = time::processor) noexcept : which_(which), start_(now()) {}

    [[nodiscard]] double nanoseconds() const noexcept { return static_cast<double>((now() - start_).count()); }

private:
    [[nodiscard]] std::chrono::nanoseconds now() const noexcept {
        timespec time{};
        ::clock_gettime(static_cast<clockid_t>(which_), &time);
        return std::chrono::seconds{time.tv_sec} + std::chrono::nanoseconds{time.tv_nsec};
    }

    const time which_;
    const std::chrono::nanoseconds start_;
};

/// Calls `operations(n)`, which carries out n operations: as a warm-up, then for `count`. What one took, in ns.
template <class Operations> double time_per_operation(std::int64_t count, Operations operations) {
    operations(count / 10 + 1);
    const stopwatch watch;
    operations(count);
    return watch.nanoseconds() / static_cast<double>(count);
}
