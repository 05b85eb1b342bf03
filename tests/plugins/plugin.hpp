#pragma once

#include <coir/fiber.hpp>

#include <stdexcept>
#include <string>

/// An exception class of a program that has plugins. As the C++ ABI asks for such a class, it is visible.
class __attribute__((visibility("default"))) plugin_error : public std::runtime_error {
public:
    using std::runtime_error::runtime_error;
};

/// Where exceptions come from.
enum class source {
    cancelled,      ///< coir::cancelled: a blocking call in a cancelled fiber
    transfer_error, ///< coir::io::transfer_error: a read of a descriptor that is none
    timed_out,      ///< std::system_error: a join that gives up
    misuse,         ///< std::logic_error: a join of an empty handle
    own,            ///< plugin_error: thrown by the plugin's own code
};

/// What a plugin can do: code that was compiled apart, with hidden visibility and possibly by another compiler.
struct plugin {
    /// Throws out of the plugin, through its code and coir's.
    void (*throw_from)(source);
    /// Spawns a fiber that ends by such an exception.
    coir::fiber<int> (*spawn_failing)(source);
    /// Calls function(argument) and says what it has thrown, recognised by type in a handler of the plugin's.
    std::string (*caught)(void (*function)(void*), void* argument);
    /// A loop with fibers, contexts and exceptions, all from the plugin's code; true if all went well.
    bool (*live)();
};

/// By which name the plugin exports itself.
constexpr const char* plugin_symbol = "coir_test_plugin";
