/// A function call beside a coroutine call, in real addresses. The output says what each is; the program checks it.

#include <coir/fiber.hpp>
#include <coir/run.hpp>
#include <coir/this_fiber.hpp>

#include <array>
#include <iostream>
#include <stdexcept>

namespace {

void check(bool condition, const char* what) {
    if (!condition)
        throw std::logic_error{what};
}

/// Where a function's frame lies on its stack, and the instruction at which its caller goes on afterwards.
struct place {
    void* frame;
    void* continues_at;
};

std::ostream& operator<<(std::ostream& out, const place& here) {
    return out << "frame " << here.frame << ", then on at " << here.continues_at << '\n';
}

[[gnu::noinline]] place inner() {
    asm volatile(""); // or the compiler might see that one call is as good as two
    return {__builtin_frame_address(0), __builtin_return_address(0)};
}

[[gnu::noinline]] std::array<place, 3> outer() {
    return {{{__builtin_frame_address(0), __builtin_return_address(0)}, inner(), inner()}};
}

void call_functions() {
    std::cout << "Function calls: one stack; each call enters at the top and runs to its return.\n";
    const auto [own, first, second] = outer();
    std::cout << "  outer():   " << own << "    inner(): " << first << "    inner(): " << second;
    check(first.frame < own.frame, "the callee's frame lies below its caller's, on the same stack");
    check(first.frame == second.frame, "a return removes the frame: the next call begins at the same place");
    check(first.continues_at != second.continues_at, "each call leaves its own return address");
}

/// Gives up control in the middle; when it has it back, says where its caller goes on.
[[gnu::noinline]] place give_way() {
    coir::this_fiber::yield(); // other fibers run here
    return {__builtin_frame_address(0), __builtin_return_address(0)};
}

std::array<place, 2> task(const char* name) {
    int line = 1; // in this function's frame, on this fiber's stack, while others run
    std::cout << name << line++ << ": enters at the top\n";
    const place second = give_way();
    std::cout << name << line++ << ": " << second;
    const place third = give_way();
    std::cout << name << line++ << ": " << third;
    return {second, third};
}

void call_coroutines() {
    std::cout << "Coroutine calls: a stack for each; control goes to and fro, each goes on where it stopped.\n";
    coir::fiber<std::array<place, 2>> left = coir::spawn(task, "  left, line ");
    coir::fiber<std::array<place, 2>> right = coir::spawn(task, "    right, line ");
    const auto a = left.join(), b = right.join();
    check(a[0].frame != b[0].frame, "each fiber has a stack of its own");
    check(a[0].frame == a[1].frame && b[0].frame == b[1].frame, "a suspended stack stays as it is");
    check(a[0].continues_at == b[0].continues_at, "both run the same code, each at its own place in it");
    check(a[0].continues_at != a[1].continues_at, "each goes on behind the call in which it stopped");
}

} // namespace

int main() {
    call_functions();
    coir::run(call_coroutines);
}
