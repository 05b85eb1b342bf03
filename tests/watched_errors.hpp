#pragma once

#include <algorithm>
#include <array>
#include <atomic>
#include <cstddef>
#include <cstdlib>
#include <mutex>
#include <poll.h>
#include <string>
#include <thread>
#include <unistd.h>

/// Takes over stderr while it lives, and counts the lines that come, as they come: for who waits for one without a
/// system call. After half a minute without one it counts as if very many had come, so that nobody waits for ever.
class watched_errors {
public:
    watched_errors() : before_(::dup(STDERR_FILENO)) {
        if (::pipe(ends_.data()) != 0)
            std::abort();
        ::dup2(ends_[1], STDERR_FILENO);
        ::close(ends_[1]);
        reader_ = std::thread{[this] { read(); }};
    }

    ~watched_errors() {
        ::dup2(before_, STDERR_FILENO); // the last writer is gone: the reader ends
        ::close(before_);
        reader_.join();
        ::close(ends_[0]);
    }
    watched_errors(const watched_errors&) = delete;
    watched_errors& operator=(const watched_errors&) = delete;

    [[nodiscard]] const std::atomic<int>& lines() const noexcept { return lines_; }

    [[nodiscard]] std::string text() const {
        const std::lock_guard hold{mutex_};
        return text_;
    }

private:
    void read() {
        std::array<char, 4096> buffer{};
        for (;;) {
            pollfd source{ends_[0], POLLIN, 0};
            if (::poll(&source, 1, 30'000) == 0) {
                lines_ = 1'000'000;
                continue;
            }
            const ssize_t bytes = ::read(ends_[0], buffer.data(), buffer.size());
            if (bytes <= 0)
                return;
            const std::lock_guard hold{mutex_};
            text_.append(buffer.data(), static_cast<std::size_t>(bytes));
            lines_ += static_cast<int>(std::count(buffer.begin(), buffer.begin() + bytes, '\n'));
        }
    }

    int before_;
    std::array<int, 2> ends_{};
    mutable std::mutex mutex_;
    std::string text_;
    std::atomic<int> lines_{0};
    std::thread reader_;
};
