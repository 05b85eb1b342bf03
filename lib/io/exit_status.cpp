#include <coir/exit_status.hpp>

#include <cstring>

namespace coir::io {

std::string exit_status::to_string() const {
    if (exited())
        return "exit code " + std::to_string(code());
    if (!signalled())
        return "unknown";
    std::string text = "signal " + std::to_string(signal());
    if (const char* const description = ::sigdescr_np(signal()))
        text += std::string(" (") + description + ')';
    return core_dumped() ? text + ", core dumped" : text;
}

} // namespace coir::io
