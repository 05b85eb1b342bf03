#include "file_store.hpp"

#include "directory_listing.hpp"
#include "http_date.hpp"
#include "media_type.hpp"

#include <coir/cancel_scope.hpp>
#include <coir/offload.hpp>

#include <cerrno>
#include <fcntl.h>
#include <span>
#include <system_error>
#include <utility>

namespace http_server {
namespace {

constexpr std::size_t largest_kept_file = 64 * 1024;
constexpr std::size_t cache_limit = 32 * 1024 * 1024;
constexpr std::size_t overhead_of_an_entry =
    512; // map node, keys, two heads: estimated, so that many small files count

stored error_answer(http_status status) {
    return {.status = status, .what = {.text = error_page(status)}};
}

/// A path that leads out of the root does not exist, as far as anybody outside may know.
http_status status_of_errno(int error) noexcept {
    switch (error) {
    case ENOENT:
    case ENOTDIR:
    case ELOOP:
    case EXDEV:
    case ENAMETOOLONG:
    case ENXIO: // a socket
        return HTTP_STATUS_NOT_FOUND;
    case EACCES:
    case EPERM:
        return HTTP_STATUS_FORBIDDEN;
    case EMFILE:
    case ENFILE:
    case ENOMEM:
        return HTTP_STATUS_SERVICE_UNAVAILABLE;
    default:
        return HTTP_STATUS_INTERNAL_SERVER_ERROR;
    }
}

bool is_same_file(const struct stat& left, const struct stat& right) noexcept {
    return left.st_ino == right.st_ino && left.st_dev == right.st_dev && left.st_size == right.st_size &&
           left.st_mtim.tv_sec == right.st_mtim.tv_sec && left.st_mtim.tv_nsec == right.st_mtim.tv_nsec &&
           left.st_ctim.tv_sec == right.st_ctim.tv_sec && left.st_ctim.tv_nsec == right.st_ctim.tv_nsec;
}

/// Reads up to `size` bytes; less if the file has become shorter.
std::string read_file(const coir::io::file& file, std::size_t size) {
    std::string text(size, '\0');
    text.resize(file.read_all_at(std::as_writable_bytes(std::span{text}), 0));
    return text;
}

/// Another thread waits for the disk, if that is needed.
file_handle open(int root, const std::string& path) {
    const auto opened_or_thrown = [](file_handle file) {
        if (!file)
            throw std::system_error{errno, std::generic_category()};
        return file;
    };
    file_handle file = open_beneath_in_memory(root, path);
    if (!file && errno == EAGAIN)
        return coir::offload([=] { return opened_or_thrown(open_beneath(root, path)); });
    return opened_or_thrown(std::move(file));
}

std::string last_modified(std::time_t time) {
    const auto date = format_http_date(time);
    return "Last-Modified: " + std::string{date.data(), date.size()} + "\r\n";
}

} // namespace

file_store::file_store(const std::string& root) : root_(::open(root.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)) {
    if (!root_)
        throw std::system_error{errno, std::generic_category(), "document root " + root};
}

stored file_store::find(const target_path& path, std::time_t second) {
    if (const document* fresh = find_fresh(path, second))
        return {.what = *fresh};
    try {
        return load(path, second);
    } catch (const std::system_error& error) {
        return error_answer(status_of_errno(error.code().value()));
    }
}

stored file_store::load(const target_path& path, std::time_t second) {
    file_handle file = open(root_.get(), path.path);
    struct stat found {};
    if (::fstat(file.get(), &found) != 0)
        return error_answer(status_of_errno(errno));
    if (S_ISREG(found.st_mode) && !path.is_directory)
        return load_file(path.path, std::move(file), found, second);
    if (!S_ISDIR(found.st_mode))
        return error_answer(HTTP_STATUS_NOT_FOUND);
    if (path.is_directory)
        return load_directory(path.path, file.get(), second);
    // Links on its page are relative to "name/". Made from the decoded path: "//host" in a Location would lead
    // elsewhere.
    const std::string location = "Location: /" + encode_path(path.path) + "/\r\n";
    return {.status = HTTP_STATUS_MOVED_PERMANENTLY,
            .what = {.text = make_content("text/plain; charset=utf-8", "Moved Permanently\n", location)}};
}

stored file_store::load_directory(const std::string& path, int directory, std::time_t second) {
    stored index = find({path.empty() ? "index.html" : path + "/index.html"}, second);
    if (index.status != HTTP_STATUS_NOT_FOUND)
        return index;
    const coir::shield lent; // the thread uses `directory` and `path`
    std::string page = coir::offload([&] { return directory_listing(directory, path); });
    return {.what = {.text = make_content("text/html; charset=utf-8", std::move(page))}};
}

stored file_store::load_file(const std::string& path, file_handle file, const struct stat& found, std::time_t second) {
    const auto size = static_cast<std::uint64_t>(found.st_size);
    if (const auto kept = cache_.find(path); kept != cache_.end()) {
        if (!kept->second.was_young && is_same_file(kept->second.identity, found)) {
            kept->second.looked_at = second;
            return {.what = kept->second.value};
        }
        cached_bytes_ -= kept->second.value.text->size() + overhead_of_an_entry;
        cache_.erase(kept);
    }

    const std::string modified = last_modified(found.st_mtim.tv_sec);
    coir::io::file opened = coir::io::file::adopt(file.release(), path);
    document what{.unchanged = std::make_shared<const content>(modified, ""), .changed = found.st_mtim.tv_sec};
    if (size > largest_kept_file) {
        std::string fields{"Content-Type: "};
        fields.append(media_type(path)).append("\r\nContent-Length: ").append(std::to_string(size)).append("\r\n");
        what.text = std::make_shared<const content>(fields + modified, "");
        return {.what = std::move(what), .file = std::move(opened), .file_size = size};
    }
    what.text = make_content(media_type(path), read_file(opened, size), modified);
    keep(path, what, found, second);
    return {.what = std::move(what)};
}

void file_store::keep(const std::string& path, const document& value, const struct stat& identity, std::time_t second) {
    const std::size_t size = value.text->size() + overhead_of_an_entry;
    if (cached_bytes_ + size > cache_limit) {
        cache_.clear();
        cached_bytes_ = 0;
    }
    // Of the time of the last change to the content or to what is known of it; nobody can set that one.
    const bool is_young = identity.st_ctim.tv_sec > second - 2;
    if (cache_.try_emplace(path, entry{value, identity, second, is_young}).second)
        cached_bytes_ += size;
}

} // namespace http_server
