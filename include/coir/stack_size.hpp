#pragma once

#include <cstddef>

namespace coir {

/// Usable bytes of stack of a fiber or context that does not ask for another size. It is address space: memory is
/// committed page by page as the stack is used, so a fiber that uses 3 KiB costs one page.
/// With the up to 1 KiB that the library keeps for itself at the upper end it makes stacks of 128 KiB.
inline constexpr std::size_t default_stack_size = std::size_t{127} * 1024;

/// The smallest stack size that is accepted. A throw and its catch need 5 KiB, `printf` of a long double with many
/// digits up to 28 KiB. A handler of a signal that does not ask for an alternate stack (SA_ONSTACK) needs some more of whatever
/// stack it interrupts: with the registers of AVX-512 or AMX 3 to 12 KiB.
inline constexpr std::size_t minimum_stack_size = std::size_t{16} * 1024;

} // namespace coir
