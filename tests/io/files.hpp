#pragma once

#include "descriptors.hpp"
#include "scratch_folder.hpp"

#include <coir/file.hpp>
#include <coir/io.hpp>
#include <coir/run.hpp>

#include <gtest/gtest.h>

#include <cerrno>
#include <chrono>
#include <cstddef>
#include <cstdlib>
#include <fcntl.h>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <linux/userfaultfd.h>
#include <span>
#include <string>
#include <string_view>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <system_error>
#include <unistd.h>

/// What the tests of files share: a directory of their own, both ways in which files are worked on, and memory that stops
/// whoever touches it.
namespace coir::test {

/// Once with io_uring, where the kernel allows it, and once with threads.
class files : public descriptors, public testing::WithParamInterface<const char*> {
protected:
    void SetUp() override {
        descriptors::SetUp();
        ::setenv("COIR_FILES", GetParam(), 1);
        if (GetParam() == std::string_view{"io_uring"} && !coir::run([] { return io::files_use_io_uring(); }))
            GTEST_SKIP() << "no io_uring here";
    }
    void TearDown() override {
        ::unsetenv("COIR_FILES");
        descriptors::TearDown();
    }

    [[nodiscard]] std::filesystem::path path(std::string_view name = "file") const { return folder_.path() / name; }
    [[nodiscard]] static bool by_threads() { return GetParam() == std::string_view{"threads"}; }

private:
    scratch_folder folder_;
};

inline std::string contents_of(const std::filesystem::path& path) {
    std::ifstream file{path, std::ios::binary};
    return {std::istreambuf_iterator<char>{file}, {}};
}

inline void fill(const std::filesystem::path& path, std::string_view contents) {
    std::ofstream{path, std::ios::binary} << contents;
}

/// No two places look alike.
inline std::string pattern(std::size_t size) {
    std::string text(size, '\0');
    for (std::size_t i = 0; i < size; ++i)
        text[i] = static_cast<char>((i * 2654435761U) >> 13U);
    return text;
}

/// Memory whose first touch does not end before release(): an operation that uses it stays in the middle. Larger than
/// what is copied by the loop's own thread.
class stalling_memory {
public:
    static constexpr std::size_t size = 512 * 1024;

    stalling_memory() {
        memory_ = static_cast<std::byte*>(
            ::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0));
        events_.reset(static_cast<int>(::syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK)));
        uffdio_api api{UFFD_API, 0, 0};
        uffdio_register range{{reinterpret_cast<std::uintptr_t>(memory_), size}, UFFDIO_REGISTER_MODE_MISSING, 0};
        stalls_ = events_.get() >= 0 && ::ioctl(events_.get(), UFFDIO_API, &api) == 0 &&
                  ::ioctl(events_.get(), UFFDIO_REGISTER, &range) == 0;
    }
    ~stalling_memory() {
        events_.reset();
        ::munmap(memory_, size);
    }
    stalling_memory(const stalling_memory&) = delete;
    stalling_memory& operator=(const stalling_memory&) = delete;

    /// Not everybody may have such memory.
    [[nodiscard]] bool stalls() const { return stalls_; }
    [[nodiscard]] std::span<std::byte> bytes() const { return {memory_, size}; }

    /// Returns when somebody has touched it, and stands still.
    void wait_until_touched() const { io::wait_readable(events_.get(), std::chrono::seconds{30}); }
    /// False: not yet, at `until`.
    [[nodiscard]] bool is_touched_before(coir::deadline until) const {
        std::error_code error;
        io::wait_readable(events_.get(), error, until);
        return !error;
    }

    /// It is ordinary memory from now on, all zeros until written to.
    void release() const {
        uffdio_zeropage zeros{{reinterpret_cast<std::uintptr_t>(memory_), size}, 0, 0};
        ASSERT_EQ(::ioctl(events_.get(), UFFDIO_ZEROPAGE, &zeros), 0);
    }

private:
    std::byte* memory_ = nullptr;
    raw events_;
    bool stalls_ = false;
};

inline constexpr const char* no_stalling_memory =
    "this process may not have memory whose faults it handles (userfaultfd)";

#define COIR_TEST_BY_BOTH(fixture)                                                                                     \
    INSTANTIATE_TEST_SUITE_P(by, fixture, testing::Values("io_uring", "threads"),                                      \
                             [](const auto& each) { return std::string{each.param}; })

} // namespace coir::test
