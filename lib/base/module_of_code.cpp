#include "base/module_of_code.hpp"

#include <cerrno>
#include <cstdint>
#include <dlfcn.h>
#include <link.h>
#include <string_view>

namespace coir::detail {

// dladdr() takes the lock of the dynamic linker; this one is made for unwinders, which are called from signal handlers.
void append_module(const void* address, bounded_text& text) noexcept {
    dl_find_object found{};
    if (::_dl_find_object(const_cast<void*>(address), &found) != 0)
        return;
    const link_map& module = *found.dlfo_link_map;
    std::string_view file = module.l_name;
    if (file.empty()) // the program itself
        file = program_invocation_name;
    file.remove_prefix(file.rfind('/') + 1);
    const auto offset = reinterpret_cast<std::uintptr_t>(address) - module.l_addr;
    text << " = " << file << "+";
    text.append_address(reinterpret_cast<const void*>(offset));
}

} // namespace coir::detail
