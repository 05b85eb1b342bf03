/// \file
/// What work on files does to the other fibers of a loop, and what it costs.
///
///     file_bench ticker (files|blocking) TICKS
///
/// A fiber that wants to run every millisecond, while another one writes 64 KiB and calls fsync, again and again: by coir's
/// files, or by plain system calls in the fiber. Prints the 99th percentile and the largest of the delays of TICKS ticks,
/// in microseconds, and how often the file was synced.
///
///     file_bench read (files|plain)
///
/// 4 KiB out of the page cache: then reads lines with a number from its input, and answers each with the nanoseconds that
/// one of so many reads took.
///
/// The environment variable COIR_FILES=threads has effect, as everywhere.

#include "stopwatch.hpp"

#include <coir/coir.hpp>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstddef>
#include <cstdlib>
#include <exception>
#include <filesystem>
#include <iostream>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <system_error>
#include <vector>

#include <unistd.h>

namespace {

using namespace std::chrono_literals;
using coir::io::open_mode;
using tick_clock = std::chrono::steady_clock;

/// On the disk of the build directory: /tmp is often in memory. Removed at the end.
class scratch_file {
public:
    scratch_file() : name_(std::filesystem::current_path() / "file_bench-XXXXXX") {
        const int number = ::mkstemp(name_.data());
        if (number == -1)
            throw std::system_error{errno, std::generic_category(), "mkstemp"};
        ::close(number);
    }
    ~scratch_file() { ::unlink(name_.c_str()); }
    scratch_file(const scratch_file&) = delete;
    scratch_file& operator=(const scratch_file&) = delete;

    /// Its name goes at once: whoever measures may kill this process.
    [[nodiscard]] coir::io::file open() const {
        coir::io::file opened{name_, open_mode::read | open_mode::write};
        ::unlink(name_.c_str());
        return opened;
    }

private:
    std::string name_;
};

void check(bool good, const char* what) {
    if (!good)
        throw std::system_error{errno, std::generic_category(), what};
}

std::vector<double> delays_of(int ticks) {
    std::vector<double> delays;
    tick_clock::time_point due = tick_clock::now();
    for (int i = 0; i < ticks; ++i) {
        due += 1ms;
        coir::this_fiber::sleep_until(due);
        const auto now = tick_clock::now();
        delays.push_back(std::chrono::duration<double, std::micro>(now - due).count());
        due = std::max(due, now - 1ms); // what was missed is not made up for in a burst
    }
    return delays;
}

void tick(bool by_coir, int ticks) {
    const scratch_file scratch;
    coir::io::file opened = scratch.open();
    const std::vector<std::byte> block(64 * 1024, std::byte{42});
    long syncs = 0;
    auto writer = coir::spawn([&] {
        for (std::uint64_t offset = 0;; offset = (offset + block.size()) % (64U << 20U), ++syncs) {
            if (by_coir) {
                opened.write_all_at(block, offset);
                opened.sync();
            } else {
                const auto place = static_cast<off_t>(offset);
                check(::pwrite(opened.native_handle(), block.data(), block.size(), place) != -1, "pwrite");
                check(::fsync(opened.native_handle()) == 0, "fsync");
                coir::this_fiber::sleep_for(
                    1us); // so that the loop looks at the clock, which it need not after a yield
            }
        }
    });
    std::vector<double> delays = delays_of(ticks);
    writer.cancel();
    writer.wait();
    std::sort(delays.begin(), delays.end());
    std::cout << delays[delays.size() * 99 / 100] << ' ' << delays.back() << ' ' << syncs << '\n';
}

void read(bool by_coir) {
    const scratch_file scratch;
    coir::io::file opened = scratch.open();
    constexpr std::uint64_t size = 1U << 20U;
    opened.write_all_at(std::vector<std::byte>(size), 0);
    std::array<std::byte, 4096> buffer{};
    for (long count = 0; std::cin >> count;) {
        const stopwatch watch;
        for (long i = 0; i < count; ++i) {
            const std::uint64_t offset = static_cast<std::uint64_t>(i) * buffer.size() % size;
            if (by_coir)
                opened.read_all_at(buffer, offset);
            else
                check(::pread(opened.native_handle(), buffer.data(), buffer.size(), static_cast<off_t>(offset)) == 4096,
                      "pread");
        }
        std::cout << watch.nanoseconds() / static_cast<double>(count) << std::endl;
    }
}

} // namespace

int main(int argc, char** argv) try {
    const std::vector<std::string_view> arguments(argv + 1, argv + argc);
    if (arguments.size() == 3 && arguments[0] == "ticker")
        coir::run([&] { tick(arguments[1] == "files", std::atoi(argv[3])); });
    else if (arguments.size() == 2 && arguments[0] == "read")
        coir::run([&] { read(arguments[1] == "files"); });
    else
        throw std::runtime_error{"usage: file_bench ticker (files|blocking) TICKS, or file_bench read (files|plain)"};
} catch (const std::exception& error) {
    std::cerr << "file_bench: " << error.what() << '\n';
    return 1;
}
