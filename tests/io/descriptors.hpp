#pragma once

#include "await_end.hpp"

#include <gtest/gtest.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <fcntl.h>
#include <filesystem>
#include <functional>
#include <iterator>
#include <span>
#include <string>
#include <string_view>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <system_error>
#include <unistd.h>
#include <utility>

/// What the tests of descriptors share: raw descriptors to test with, bytes, and a check that none is left open.
namespace coir::test {

/// A raw descriptor, closed at the end if nobody took it.
class raw {
public:
    explicit raw(int number = -1) noexcept : number_(number) {}
    raw(raw&& other) noexcept : number_(other.take()) {}
    raw& operator=(raw&& other) noexcept {
        reset(other.take());
        return *this;
    }
    ~raw() { reset(); }

    [[nodiscard]] int get() const noexcept { return number_; }
    int take() noexcept { return std::exchange(number_, -1); }
    void reset(int number = -1) noexcept {
        if (number_ >= 0)
            ::close(number_);
        number_ = number;
    }

private:
    int number_;
};

struct ends {
    raw read;
    raw write;
};

/// In blocking mode.
inline ends make_pipe() {
    std::array<int, 2> made{};
    if (::pipe2(made.data(), O_CLOEXEC) != 0)
        throw std::system_error(errno, std::generic_category(), "pipe2");
    return {raw{made[0]}, raw{made[1]}};
}

/// Two connected sockets in blocking mode.
inline ends make_sockets(int type = SOCK_STREAM) {
    std::array<int, 2> made{};
    if (::socketpair(AF_UNIX, type | SOCK_CLOEXEC, 0, made.data()) != 0)
        throw std::system_error(errno, std::generic_category(), "socketpair");
    return {raw{made[0]}, raw{made[1]}};
}

/// A new file without a name, for reading and writing; `flags` as of open().
inline raw nameless_file(int flags = 0) {
    std::string name = (std::filesystem::temp_directory_path() / "coir-test-XXXXXX").string();
    raw file{::mkostemp(name.data(), O_CLOEXEC | flags)};
    if (file.get() < 0)
        throw std::system_error(errno, std::generic_category(), "mkostemp");
    ::unlink(name.c_str());
    return file;
}

inline std::span<const std::byte> bytes_of(std::string_view text) {
    return std::as_bytes(std::span{text});
}

inline std::string text_of(std::span<const std::byte> bytes) {
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

inline std::size_t open_descriptors() {
    // The iterator has one open itself, each time.
    return static_cast<std::size_t>(
        std::distance(std::filesystem::directory_iterator{"/proc/self/fd"}, std::filesystem::directory_iterator{}));
}

/// Every test gives back the descriptors that it opened.
class descriptors : public testing::Test {
protected:
    void SetUp() override { before_ = open_descriptors(); }
    void TearDown() override { EXPECT_EQ(open_descriptors(), before_); }

private:
    std::size_t before_ = 0;
};

/// A child process that does not outlive this one: 0 in the child, as fork().
inline pid_t fork_dependent() {
    const pid_t child = ::fork();
    if (child == 0)
        ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    return child;
}

/// Of a child, when it has ended: its exit status, or minus the signal that ended it.
inline int exit_status_of(pid_t child) {
    const int status = await_end(child);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

/// Runs `body` in a child process; returns its exit_status_of().
inline int in_child(const std::function<int()>& body) {
    const pid_t child = fork_dependent();
    if (child == 0)
        ::_exit(body());
    return exit_status_of(child);
}

/// The error of a call of the form that reports through a std::error_code.
template <class Call> std::error_code error_of(Call call) {
    std::error_code error;
    call(error);
    return error;
}

/// The error with which a call throws; none if it does not.
template <class Call> std::error_code thrown_by(Call call) {
    try {
        call();
    } catch (const std::system_error& failure) {
        return failure.code();
    }
    return {};
}

/// What the std::system_error says that a call throws; nothing if it does not.
template <class Call> std::string message_of(Call call) {
    try {
        call();
    } catch (const std::system_error& failure) {
        return failure.what();
    }
    return {};
}

} // namespace coir::test
