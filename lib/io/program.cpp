#include "io/program.hpp"

#include <cstdlib>
#include <limits>
#include <string_view>
#include <system_error>

#include <unistd.h>

namespace coir::detail {
namespace {

void require_no_null(std::string_view text, const char* what) {
    if (text.find('\0') != std::string_view::npos)
        throw std::system_error(std::make_error_code(std::errc::invalid_argument),
                                std::string("a null character in ") + what);
}

std::string_view name_of(std::string_view variable) noexcept {
    return variable.substr(0, variable.find('='));
}

// Where execvp() would look, in the same order.
std::vector<std::string> paths_for(const std::string& name) {
    if (name.empty() || name.find('/') != std::string::npos)
        return {name}; // the empty name is found nowhere: let the kernel say so
    const char* const path = std::getenv("PATH");
    std::string_view rest = path ? path : "/bin:/usr/bin";
    std::vector<std::string> paths;
    for (;;) {
        const std::string_view directory = rest.substr(0, rest.find(':'));
        paths.push_back(directory.empty() ? name : std::string(directory) + '/' + name);
        if (directory.size() == rest.size())
            return paths;
        rest.remove_prefix(directory.size() + 1);
    }
}

std::vector<std::string> environment_of(const io::process_options& options) {
    std::vector<std::string> made;
    const auto remove = [&](std::string_view name) {
        std::erase_if(made, [name](const std::string& each) { return name_of(each) == name; });
    };
    if (options.inherit_environment)
        for (char** each = ::environ; each && *each; ++each)
            made.emplace_back(*each);
    for (const std::string& each : options.environment) {
        require_no_null(each, "the environment");
        if (name_of(each).empty())
            throw std::system_error(std::make_error_code(std::errc::invalid_argument),
                                    "a variable without a name in the environment: '" + each + '\'');
        remove(name_of(each));
        if (each.find('=') != std::string::npos)
            made.push_back(each);
    }
    if (!options.id_variable.empty())
        remove(options.id_variable);
    return made;
}

// Of process_options::id_variable; room for an id behind it.
std::string id_variable_of(const io::process_options& options) {
    require_no_null(options.id_variable, "the environment");
    if (options.id_variable.find('=') != std::string::npos)
        throw std::system_error(std::make_error_code(std::errc::invalid_argument), "'=' in the name of a variable");
    return options.id_variable + '=' + std::string(std::numeric_limits<pid_t>::digits10 + 1, '\0');
}

} // namespace

program::program(const std::vector<std::string>& arguments, const io::process_options& options)
    : directory_(options.directory), begins_session_(options.new_session) {
    if (arguments.empty())
        throw std::system_error(std::make_error_code(std::errc::invalid_argument), "no program named");
    require_no_null(directory_, "the directory");
    for (const std::string& each : arguments)
        require_no_null(each, "an argument");
    paths_ = paths_for(arguments.front());
    for (const std::string& each : paths_)
        files_.push_back(each.c_str());
    files_.push_back(nullptr);
    texts_ = environment_of(options);
    texts_.insert(texts_.begin(), arguments.begin(), arguments.end());
    if (!options.id_variable.empty()) {
        std::string& added = texts_.emplace_back(id_variable_of(options));
        id_text_ = added.data() + options.id_variable.size() + 1;
    }
    for (std::string& each : texts_)
        (arguments_.size() < arguments.size() ? arguments_ : environment_).push_back(each.data());
    arguments_.push_back(nullptr);
    environment_.push_back(nullptr);
}

} // namespace coir::detail
