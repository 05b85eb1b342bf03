#pragma once

#include <coir/export.hpp>

#include <string>

namespace coir::io {

/// How a program has ended: it has exited with a code, or a signal has ended it. See process::wait().
class exit_status {
public:
    /// Not known: neither exited() nor signalled().
    constexpr exit_status() noexcept = default;

    /// From what waitpid(2) stores.
    [[nodiscard]] static constexpr exit_status from_native(int status) noexcept {
        exit_status made;
        made.status_ = status;
        return made;
    }

    /// It called exit() or returned from main(), with code().
    [[nodiscard]] constexpr bool exited() const noexcept { return ending_signal() == 0; }
    /// 0 to 255; also 0 if it has not exited().
    [[nodiscard]] constexpr int code() const noexcept { return exited() ? (status_ >> 8) & 0xff : 0; }

    /// A signal has ended it: signal().
    [[nodiscard]] constexpr bool signalled() const noexcept { return ending_signal() != 0 && ending_signal() != 0x7f; }
    /// The signal number; 0 if not signalled().
    [[nodiscard]] constexpr int signal() const noexcept { return signalled() ? ending_signal() : 0; }
    /// With a core dump.
    [[nodiscard]] constexpr bool core_dumped() const noexcept { return signalled() && (status_ & 0x80) != 0; }

    /// It has exited with code 0.
    [[nodiscard]] constexpr bool success() const noexcept { return status_ == 0; }

    /// For messages: "exit code 1", "signal 11 (Segmentation fault), core dumped", "unknown".
    [[nodiscard]] COIR_EXPORT std::string to_string() const;

    constexpr bool operator==(const exit_status&) const noexcept = default;

private:
    // 0x7f is what a stopped program has there, never one that has ended.
    [[nodiscard]] constexpr int ending_signal() const noexcept { return status_ & 0x7f; }

    int status_ = 0x7f;
};

} // namespace coir::io
