#pragma once

#include "plugins/plugin.hpp"

#include <cstdlib>
#include <dlfcn.h>
#include <stdexcept>
#include <string>
#include <vector>

extern "C" const plugin coir_test_plugin;

/// The files of the plugins, from the environment: COIR_TEST_PLUGINS=FILE:FILE...
inline std::vector<std::string> plugin_paths() {
    const char* variable = std::getenv("COIR_TEST_PLUGINS");
    std::vector<std::string> paths;
    for (std::string rest = variable ? variable : ""; !rest.empty();) {
        const std::size_t end = rest.find(':');
        paths.push_back(rest.substr(0, end));
        rest = end == std::string::npos ? "" : rest.substr(end + 1);
    }
    return paths;
}

struct loaded_plugin {
    void* handle;
    const plugin* interface;
};

/// Loads one so that its symbols are nobody else's.
inline loaded_plugin load(const std::string& path) {
    void* handle = ::dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
    if (!handle)
        throw std::runtime_error(::dlerror());
    return {handle, static_cast<const plugin*>(::dlsym(handle, plugin_symbol))};
}
