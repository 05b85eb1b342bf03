#pragma once

namespace coir::detail {

using entry_function = void (*)(void* argument);

} // namespace coir::detail

/// The function every fresh stack begins in; it ends backtraces. In asm/<arch>_<abi>.S.
extern "C" void coir_entry();
