// A function with a frame of BYTES on a stack that has no room for it. Compiled twice: with -fstack-clash-protection the
// compiler touches each page of a frame on the way down, and the guard is met, however large the frame. Without, the function
// may step over the guard: then it writes into the stack below, and nobody notices.

#include <coir/coir.hpp>

#include <alloca.h>
#include <array>
#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <string_view>

namespace {

/// Touches the lowest byte of a frame that is allocated by alloca(), and no other.
[[gnu::noinline]] void by_alloca(std::size_t bytes) {
    auto* const frame = static_cast<volatile char*>(alloca(bytes));
    frame[0] = 1;
}

/// The same with an array whose length is known at run time only.
[[gnu::noinline]] void by_array(std::size_t bytes) {
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wvla"
    [[maybe_unused]] volatile char frame[bytes];
#pragma GCC diagnostic pop
    frame[0] = 1;
}

/// And with one that the compiler knows.
template <std::size_t bytes> [[gnu::noinline]] void by_constant() {
    volatile char frame[bytes];
    asm volatile("" : : "r"(frame) : "memory"); // no compiler makes it smaller
    frame[0] = 1;
}

/// Goes so deep that less than `left` bytes are left, and calls `function` there.
template <class Function>
[[gnu::noinline]] void near_the_end(const std::byte* bottom, std::size_t left, Function function) {
    [[maybe_unused]] volatile char frame[256];
    frame[0] = 1;
    const auto* const here = static_cast<const std::byte*>(__builtin_frame_address(0));
    if (static_cast<std::size_t>(here - bottom) > left)
        near_the_end(bottom, left, function);
    else
        function();
    frame[0] = 2;
}

void run_out_of_stack(std::string_view how, std::size_t bytes) {
    // The fiber's stack is 24 KiB; it begins in the page where its first frame is.
    const auto top = reinterpret_cast<std::size_t>(__builtin_frame_address(0)) / 4096 * 4096 + 4096;
    const auto* const bottom = reinterpret_cast<const std::byte*>(top - std::size_t{24} * 1024);
    near_the_end(bottom, 4000, [&] {
        if (how == "alloca")
            by_alloca(bytes);
        else if (how == "array")
            by_array(bytes);
        else if (bytes <= std::size_t{64} * 1024)
            by_constant<std::size_t{64} * 1024>();
        else
            by_constant<std::size_t{1} << 20>();
    });
}

} // namespace

int main(int argc, char** argv) {
    if (argc != 3)
        return 2;
    const std::string_view how = argv[1];
    const auto bytes = static_cast<std::size_t>(std::strtoul(argv[2], nullptr, 10));
    return coir::run([&] {
        // Neighbours on both sides, so that what lies below is a stack, too.
        const coir::fiber_options options{.name = "large", .stack_size = coir::minimum_stack_size};
        std::array<coir::fiber<void>, 100> neighbours;
        for (coir::fiber<void>& each : neighbours)
            each = coir::spawn(options, [] { coir::this_fiber::sleep_until(coir::deadline::never()); });
        coir::this_fiber::yield();
        coir::spawn(options, run_out_of_stack, how, bytes).join();
        std::puts("nobody has noticed");
        std::fflush(stdout);
        std::_Exit(0);
        return 0;
    });
}
