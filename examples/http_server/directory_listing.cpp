#include "directory_listing.hpp"

#include "request_target.hpp"

#include <algorithm>
#include <cerrno>
#include <dirent.h>
#include <fcntl.h>
#include <memory>
#include <string_view>
#include <sys/stat.h>
#include <system_error>
#include <unistd.h>
#include <vector>

namespace http_server {
namespace {

/// Of the names below `directory`: sorted, directories with a slash.
std::vector<std::string> names_in(int directory) {
    // Another descriptor with a position of its own; closedir() closes it.
    const int again = ::openat(directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR* opened = again >= 0 ? ::fdopendir(again) : nullptr;
    if (!opened) {
        const std::error_code error{errno, std::generic_category()};
        if (again >= 0)
            ::close(again);
        throw std::system_error{error, "read directory"};
    }
    struct close_directory {
        void operator()(DIR* list) const noexcept { ::closedir(list); }
    };
    const std::unique_ptr<DIR, close_directory> list{opened};

    std::vector<std::string> names;
    while (const dirent* found = ::readdir(list.get())) {
        std::string name{found->d_name};
        struct stat what {};
        if (name.starts_with('.') || ::fstatat(directory, name.c_str(), &what, 0) != 0)
            continue;
        if (S_ISDIR(what.st_mode))
            name += '/';
        else if (!S_ISREG(what.st_mode))
            continue;
        names.push_back(std::move(name));
    }
    std::ranges::sort(names);
    return names;
}

std::string escape_html(std::string_view text) {
    std::string result;
    for (const char c : text) {
        switch (c) {
        case '&':
            result += "&amp;";
            break;
        case '<':
            result += "&lt;";
            break;
        case '>':
            result += "&gt;";
            break;
        case '"':
            result += "&quot;";
            break;
        default:
            result += c;
        }
    }
    return result;
}

} // namespace

std::string directory_listing(int directory, const std::string& path) {
    const std::string title = escape_html('/' + path);
    std::string page =
        "<!doctype html>\n<meta charset=\"utf-8\">\n<title>" + title + "</title>\n<h1>" + title + "</h1>\n<ul>\n";
    if (!path.empty())
        page += "<li><a href=\"../\">../</a>\n";
    for (const std::string& name : names_in(directory)) {
        // "./": a name with a colon would otherwise look like a URL with a scheme.
        page += "<li><a href=\"./" + encode_path(name) + "\">" + escape_html(name) + "</a>\n";
    }
    page += "</ul>\n";
    return page;
}

} // namespace http_server
