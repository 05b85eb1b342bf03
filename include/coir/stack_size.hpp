#pragma once

#include <cstddef>

namespace coir {

/// Usable bytes of stack for a fiber or context that does not request another size. It is address space: memory is committed
/// page by page as the stack is used, so a fiber that uses 3 KiB costs one page. Together with up to 1 KiB that the library
/// uses at the upper end, it makes stacks of 128 KiB.
inline constexpr std::size_t default_stack_size = std::size_t{127} * 1024;

/// The smallest stack size that is accepted. A throw and its catch need 5 KiB, `printf` of a long double with many digits up to
/// 28 KiB. A signal handler without an alternate stack (SA_ONSTACK) needs additional room on the stack that it interrupts: 3 to
/// 12 KiB with the registers of AVX-512 or AMX.
inline constexpr std::size_t minimum_stack_size = std::size_t{16} * 1024;

} // namespace coir
