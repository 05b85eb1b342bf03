#include "duty.hpp"

#include <coir/context.hpp>

#include <cxxabi.h>
#include <exception>
#include <stdexcept>
#include <string>

namespace selftest {
namespace {

/// The thread's state of exceptions, as the Itanium C++ ABI lays it out.
struct exception_state {
    void* caught;
    unsigned uncaught;
};

exception_state& thread_state() {
    return *reinterpret_cast<exception_state*>(abi::__cxa_get_globals());
}

/// What `throw;` would throw.
std::string current_message() {
    if (!std::current_exception())
        return "none";
    try {
        throw;
    } catch (const std::exception& error) {
        return error.what();
    }
}

/// Handles an exception, suspends meanwhile, and handles others inside the handler. True if the right one is current
/// each time.
bool handles(coir::context::self& self, const std::string& name, int depth, bool spoiled) {
    bool right = true;
    try {
        throw std::runtime_error(name + std::to_string(depth));
    } catch (const std::runtime_error& error) {
        self.suspend();
        const exception_state mine = thread_state();
        if (spoiled)
            thread_state().caught = nullptr;
        right = current_message() == name + std::to_string(depth) && current_message() == error.what();
        thread_state() = mine;
        if (depth > 1)
            right = handles(self, name, depth - 1, false) && right;
        self.suspend();
        right = right && current_message() == error.what();
    }
    return right;
}

finding check_handlers(int depth, bool spoiled) {
    bool right = true;
    coir::context one{[&](coir::context::self& self) { right = handles(self, "one", depth, spoiled) && right; }};
    coir::context other{[&](coir::context::self& self) { right = handles(self, "other", depth, false) && right; }};
    try {
        throw std::logic_error("outside");
    } catch (const std::logic_error&) {
        while (one.resume()) {
            right = right && current_message() == "outside";
            other.resume();
        }
        other.resume();
        right = right && current_message() == "outside";
    }
    right = right && current_message() == "none" && one.done() && other.done();
    return holds_if(right, "throw; finds its own", "an exception of one execution is seen by another");
}

finding check_catch(bool spoiled) {
    return check_handlers(1, spoiled);
}

finding check_nested_catch(bool spoiled) {
    return check_handlers(3, spoiled);
}

finding check_uncaught(bool spoiled) {
    struct suspends_at_end {
        coir::context::self& self;
        bool& right;
        bool spoiled;
        ~suspends_at_end() {
            for (int i = 0; i < 3; ++i) {
                self.suspend();
                thread_state().uncaught += spoiled ? 1 : 0;
                right = right && std::uncaught_exceptions() == 1;
                thread_state().uncaught -= spoiled ? 1 : 0;
            }
        }
    };
    bool right = true;
    coir::context unwinds{[&](coir::context::self& self) {
        try {
            const suspends_at_end last{self, right, spoiled};
            throw std::runtime_error("inside");
        } catch (const std::runtime_error&) {}
        right = right && std::uncaught_exceptions() == 0;
    }};
    while (unwinds.resume())
        right = right && std::uncaught_exceptions() == 0;
    return holds_if(right, "each has its own", "unwinding in one execution is seen in another");
}

constexpr duty duties[] = {
    {"suspend_in_catch", "switch in a catch block", check_catch},
    {"suspend_in_nested_catch", "switch in three, nested", check_nested_catch},
    {"uncaught_exceptions", "uncaught_exceptions()", check_uncaught},
};

} // namespace

std::span<const duty> exception_duties() {
    return duties;
}

} // namespace selftest
