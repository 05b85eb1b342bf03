// Files when the world is against them: no room, no descriptors, limits, fork, a kernel without io_uring.
#include <coir/file.hpp>

#include "files.hpp"

#include <coir/fiber.hpp>
#include <coir/file_system.hpp>
#include <coir/this_fiber.hpp>

#include <array>
#include <atomic>
#include <chrono>
#include <csignal>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <string>
#include <string_view>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <thread>
#include <vector>

namespace coir::test {
namespace {

using io::file;
using io::open_mode;
using namespace std::chrono_literals;

constexpr open_mode fresh = open_mode::read | open_mode::write | open_mode::create | open_mode::exclusive;
constexpr int not_allowed = 77;
#if defined(COIR_ASAN)
constexpr bool forks_beside_threads = false;
#else
constexpr bool forks_beside_threads = true;
#endif

using file_faults = files;
COIR_TEST_BY_BOTH(file_faults);

/// Writes `text` to `path`, where there is not so much room. True: the error says what has been written, which is there.
bool loses_nothing(const std::filesystem::path& path, const std::string& text, std::errc expected) {
    file made{path, fresh};
    try {
        made.write_all_at(bytes_of(text), 0);
    } catch (const io::transfer_error& failure) {
        const std::size_t written = failure.bytes_transferred();
        return failure.code() == expected &&
               std::string_view{failure.what()}.find(path.string()) != std::string::npos && made.size() == written &&
               written > 0 && contents_of(path) == text.substr(0, written);
    }
    return false;
}

TEST_P(file_faults, a_full_disk) {
    const int ended = in_child([this] {
        if (::unshare(CLONE_NEWNS) != 0 || ::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0 ||
            ::mount("none", path(".").c_str(), "tmpfs", 0, "size=1m") != 0)
            return not_allowed;
        return coir::run([this] {
            if (!loses_nothing(path(), pattern(3 << 20U), std::errc::no_space_on_device))
                return 1;
            io::remove(path());
            return io::write_file(path(), bytes_of(pattern(500'000))) == 500'000 ? 0 : 2; // goes on
        });
    });
    if (ended == not_allowed)
        GTEST_SKIP() << "this process may not mount a small file system";
    EXPECT_EQ(ended, 0);
}

TEST_P(file_faults, a_device_that_is_always_full) {
    coir::run([] {
        file full{"/dev/full", open_mode::write};
        EXPECT_EQ(thrown_by([&] { full.write_all_at(bytes_of("text"), 0); }), std::errc::no_space_on_device);
    });
}

TEST_P(file_faults, a_limit_of_the_size) {
    const int ended = in_child([this] {
        std::signal(SIGXFSZ, SIG_IGN);
        const rlimit small{100'000, 100'000};
        ::setrlimit(RLIMIT_FSIZE, &small);
        return coir::run([this] { return loses_nothing(path(), pattern(600'000), std::errc::file_too_large) ? 0 : 1; });
    });
    EXPECT_EQ(ended, 0);
}

TEST_P(file_faults, no_descriptor_left) {
    const int ended = in_child([this] {
        return coir::run([this] {
            (void)io::files_use_io_uring();
            rlimit before{};
            ::getrlimit(RLIMIT_NOFILE, &before);
            const rlimit none{0, before.rlim_max};
            ::setrlimit(RLIMIT_NOFILE, &none);
            std::error_code error;
            if (file::open(path(), fresh, error) || error != std::errc::too_many_files_open)
                return 1;
            (void)io::list_directory(path("."), error);
            if (error != std::errc::too_many_files_open)
                return 2;
            ::setrlimit(RLIMIT_NOFILE, &before);
            return file::open(path(), fresh, error) ? 0 : 3;
        });
    });
    EXPECT_EQ(ended, 0);
}

// There is not even one for the ring: threads do it.
TEST_P(file_faults, no_descriptor_for_a_ring) {
    fill(path(), "text");
    const int ended = in_child([this] {
        return coir::run([this] {
            const rlimit none{0, 0};
            ::setrlimit(RLIMIT_NOFILE, &none);
            return !io::files_use_io_uring() && io::status(path()).size == 4 ? 0 : 1;
        });
    });
    EXPECT_EQ(ended, 0);
}

// As seccomp filters of containers do.
TEST_P(file_faults, a_kernel_that_does_not_allow_a_ring) {
    const int ended = in_child([this] {
        std::array<sock_filter, 4> instructions{{
            BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
            BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_io_uring_setup, 0, 1),
            BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
            BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
        }};
        const sock_fprog filter{instructions.size(), instructions.data()};
        if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 || ::prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) != 0)
            return not_allowed;
        return coir::run([this] {
            if (io::files_use_io_uring())
                return 1;
            return io::write_file(path(), bytes_of("by a thread")) == 11 && io::read_file(path()) == "by a thread" ? 0
                                                                                                                   : 2;
        });
    });
    if (ended == not_allowed)
        GTEST_SKIP() << "no seccomp filters here";
    EXPECT_EQ(ended, 0);
}

TEST_P(file_faults, fork_leaves_both_with_files) {
    if (by_threads() && !forks_beside_threads)
        GTEST_SKIP()
            << "AddressSanitizer's allocator keeps its locks in the child, when another thread allocates during fork()";
    coir::run([this] {
        file made{path(), fresh};
        made.write_all_at(bytes_of("parent"), 0);
        // Operations that the child has nothing to do with are in progress.
        std::vector<coir::fiber<void>> busy;
        for (int i = 0; i < 5; ++i)
            busy.push_back(spawn([&made, i] {
                for (int j = 0; j < 10; ++j) {
                    made.write_all_at(bytes_of("x"), 100 + static_cast<std::uint64_t>(i * 10 + j));
                    made.sync_data();
                }
            }));
        this_fiber::sleep_for(1ms);
        const pid_t child = fork_dependent();
        if (child == 0) {
            const bool same = io::files_use_io_uring() == !by_threads();
            bool works =
                io::write_file(path("child"), bytes_of("child")) == 5 && io::read_file(path("child")) == "child";
            works = works && made.write_all_at(bytes_of("+child"), 6) == 6;
            ::_exit(same && works ? 0 : 1);
        }
        int status = 0;
        while (::waitpid(child, &status, WNOHANG) == 0)
            this_fiber::sleep_for(100us);
        EXPECT_EQ(status, 0);
        for (auto& each : busy)
            each.join();
        EXPECT_EQ(io::read_file(path()).substr(0, 12), "parent+child");
        EXPECT_EQ(io::read_file(path()).substr(100), std::string(50, 'x'));
        EXPECT_EQ(io::read_file(path("child")), "child");
    });
}

// The thread of a loop with files is not the one that forks.
TEST_P(file_faults, fork_beside_a_loop_with_files) {
    if (by_threads() && !forks_beside_threads)
        GTEST_SKIP()
            << "AddressSanitizer's allocator keeps its locks in the child, when another thread allocates during fork()";
    std::atomic<bool> stop{false};
    std::atomic<bool> works{false};
    std::thread other{[&] {
        coir::run([&] {
            file made{path("other"), fresh};
            while (!stop) {
                made.write_all_at(bytes_of("x"), 0);
                works = true;
            }
        });
    }};
    while (!works)
        std::this_thread::yield();
    const int ended = in_child(
        [this] { return coir::run([this] { return io::write_file(path(), bytes_of("child")) == 5 ? 0 : 1; }); });
    stop = true;
    other.join();
    EXPECT_EQ(ended, 0);
    EXPECT_EQ(contents_of(path()), "child");
}

// Ends of operations and signals come together.
TEST_P(file_faults, a_storm_of_signals) {
    std::atomic<bool> stop{false};
    struct sigaction counting {};
    counting.sa_handler = [](int) {};
    struct sigaction before {};
    ::sigaction(SIGUSR1, &counting, &before); // without SA_RESTART
    const pthread_t target = ::pthread_self();
    std::thread storm{[&] {
        while (!stop) {
            ::pthread_kill(target, SIGUSR1);
            std::this_thread::sleep_for(200us);
        }
    }};
    coir::run([this] {
        std::vector<coir::fiber<void>> all;
        for (int i = 0; i < 20; ++i)
            all.push_back(spawn([this, i] {
                const auto name = path(std::to_string(i));
                const std::string text = pattern(300'000 + static_cast<std::size_t>(i));
                for (int j = 0; j < 3; ++j) {
                    EXPECT_EQ(io::write_file(name, bytes_of(text)), text.size());
                    file written{name, open_mode::write};
                    written.sync_data();
                    EXPECT_TRUE(io::read_file(name) == text);
                }
            }));
        for (auto& each : all)
            each.join();
    });
    stop = true;
    storm.join();
    ::sigaction(SIGUSR1, &before, nullptr);
}

} // namespace
} // namespace coir::test
