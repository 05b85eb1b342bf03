#include "cores.hpp"

#include <cerrno>
#include <cstddef>
#include <stdexcept>
#include <system_error>

#include <sched.h>

std::array<int, 2> two_cores() {
    cpu_set_t allowed;
    if (::sched_getaffinity(0, sizeof allowed, &allowed) != 0)
        throw std::system_error{errno, std::generic_category(), "sched_getaffinity"};
    std::array<int, 2> cores{};
    std::size_t found = 0;
    for (int core = 0; core < CPU_SETSIZE && found < cores.size(); ++core)
        if (CPU_ISSET(core, &allowed))
            cores[found++] = core;
    if (found < cores.size())
        throw std::runtime_error{"server and load need a core each"};
    return cores;
}
