// Preloaded into the test programs of io and net: what the kernel may do at any time, and does when nobody looks.
//
//   COIR_FAULTS=interrupted     a system call of libcoir.so fails with EINTR, or with EAGAIN although there would be data
//                               or room, every now and then
//   COIR_FAULTS=short           it moves less than it could
//   COIR_FAULTS=storm           a signal for the main thread every millisecond, whose handler interrupts system calls
//   COIR_FAULTS=storm_restart   the same with SA_RESTART
//   COIR_FAULTS_PROGRAM=1       the library is linked into the program, whose own calls cannot be told from its
//
// Only calls out of libcoir.so are touched: those of the test itself are not what is tested, and go on when the storm has
// interrupted them. The numbers are the same in every
// run (COIR_FAULTS_SEED starts others). A program in which nothing was injected fails.

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <dlfcn.h>
#include <link.h>
#include <poll.h>
#include <string_view>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

namespace {

enum class fault { none, interrupted, shortened, storm };

fault wanted = fault::none;
std::uintptr_t library_begin = 0;
std::uintptr_t library_end = 0;
std::atomic<std::uint64_t> injected{0};
pid_t started = 0;
thread_local std::uint64_t state = 0;
std::uint64_t seed = 1;

// xorshift: the program's own random numbers stay as they are.
std::uint64_t random_number() {
    if (state == 0)
        state = seed;
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return state;
}

bool once_in(std::uint64_t count) {
    return random_number() % count == 0;
}

bool is_library(const void* caller) {
    const auto address = reinterpret_cast<std::uintptr_t>(caller);
    return address >= library_begin && address < library_end;
}

enum class content { stream, file, other };

// Of messages, counters and the like a part is not a shorter transfer but another one.
content content_of(int number) {
    struct stat file {};
    const int before = errno;
    content found = content::other;
    if (::fstat(number, &file) == 0) {
        int type = 0;
        socklen_t size = sizeof type;
        if (S_ISREG(file.st_mode))
            found = content::file;
        else if (S_ISFIFO(file.st_mode))
            found = content::stream;
        else if (S_ISSOCK(file.st_mode) && ::getsockopt(number, SOL_SOCKET, SO_TYPE, &type, &size) == 0 &&
                 type == SOCK_STREAM)
            found = content::stream;
    }
    errno = before;
    return found;
}

bool fails(const void* caller, int number) {
    if (wanted != fault::interrupted || !is_library(caller) || !once_in(3))
        return false;
    // Regular files never say EAGAIN: they are always ready.
    errno = once_in(2) && content_of(number) != content::file ? EAGAIN : EINTR;
    ++injected;
    return true;
}

// Calls, once more each time that the storm has interrupted a call of the test's own.
template <class Call> ssize_t undisturbed(const void* caller, Call call) {
    ssize_t moved = call();
    while (moved == -1 && errno == EINTR && wanted == fault::storm && !is_library(caller))
        moved = call();
    return moved;
}

std::size_t shortened(const void* caller, int number, std::size_t size) {
    if (wanted != fault::shortened || size < 2 || !is_library(caller) || once_in(3) ||
        content_of(number) == content::other)
        return size;
    ++injected;
    return 1 + random_number() % (once_in(2) ? std::min<std::size_t>(size, 16) : size);
}

// The beginning of a list of buffers.
class shortened_pieces {
public:
    shortened_pieces(const void* caller, int number, const iovec* pieces, std::size_t count) {
        std::size_t all = 0;
        for (std::size_t i = 0; i < count; ++i)
            all += pieces[i].iov_len;
        const std::size_t size = shortened(caller, number, all);
        if (size == all) {
            pieces_ = const_cast<iovec*>(pieces);
            count_ = count;
            return;
        }
        std::size_t rest = size;
        while (rest > 0 && count_ < own_.size()) {
            own_[count_] = pieces[count_];
            own_[count_].iov_len = std::min(own_[count_].iov_len, rest);
            rest -= own_[count_].iov_len;
            ++count_;
        }
    }
    iovec* data() { return pieces_ ? pieces_ : own_.data(); }
    std::size_t size() const { return count_; }

private:
    std::array<iovec, 64> own_;
    iovec* pieces_ = nullptr;
    std::size_t count_ = 0;
};

template <class Function> Function* next(Function*, const char* name) {
    void* found = ::dlsym(RTLD_NEXT, name);
    if (!found)
        std::abort();
    return reinterpret_cast<Function*>(found);
}

// `in_program` is not null if the library is part of the program, which has no name.
int find_library(dl_phdr_info* info, std::size_t, void* in_program) {
    const std::string_view name{info->dlpi_name};
    if (in_program ? !name.empty() : name.find("libcoir.so") == std::string_view::npos)
        return 0;
    library_begin = ~std::uintptr_t{0};
    for (int i = 0; i < info->dlpi_phnum; ++i)
        if (info->dlpi_phdr[i].p_type == PT_LOAD) {
            const std::uintptr_t begin = info->dlpi_addr + info->dlpi_phdr[i].p_vaddr;
            library_begin = std::min(library_begin, begin);
            library_end = std::max(library_end, begin + info->dlpi_phdr[i].p_memsz);
        }
    return 1;
}

void start_storm(int flags) {
    struct sigaction action {};
    action.sa_handler = [](int) { injected.fetch_add(1, std::memory_order_relaxed); };
    action.sa_flags = flags;
    const int signal = SIGRTMIN + 5; // SIGALRM is the tests' own
    ::sigaction(signal, &action, nullptr);
    sigevent event{};
    event.sigev_notify = SIGEV_THREAD_ID;
    event.sigev_signo = signal;
    event._sigev_un._tid = static_cast<pid_t>(::syscall(SYS_gettid));
    timer_t timer{};
    const itimerspec every{{0, 1'000'000}, {0, 50'000}}; // soon at first: some programs take a millisecond
    if (::timer_create(CLOCK_MONOTONIC, &event, &timer) != 0 || ::timer_settime(timer, 0, &every, nullptr) != 0)
        std::abort();
}

[[gnu::constructor]] void start() {
    const char* name = std::getenv("COIR_FAULTS");
    if (!name)
        return;
    if (const char* number = std::getenv("COIR_FAULTS_SEED"))
        seed = std::strtoull(number, nullptr, 10) | 1;
    started = ::getpid();
    ::dl_iterate_phdr(find_library, std::getenv("COIR_FAULTS_PROGRAM"));
    if (library_begin == 0)
        return; // a program that starts the test
    const std::string_view kind{name};
    if (kind == "interrupted")
        wanted = fault::interrupted;
    else if (kind == "short")
        wanted = fault::shortened;
    else
        wanted = fault::storm;
    if (wanted == fault::storm)
        start_storm(kind == "storm_restart" ? SA_RESTART : 0);
    ::unsetenv("LD_PRELOAD"); // programs that the tests start are left in peace
}

[[gnu::destructor]] void end() {
    if (wanted == fault::none || ::getpid() != started || injected > 0)
        return;
    std::fputs("faults: nothing has been injected\n", stderr);
    ::_exit(1);
}

} // namespace

#define COIR_NEXT(name)                                                                                                \
    static const auto real = next(&::name, #name); /* by its name in the object file, which aliases may change */      \
    const void* caller = __builtin_return_address(0)

extern "C" {

ssize_t read(int number, void* data, std::size_t size) {
    COIR_NEXT(read);
    if (fails(caller, number))
        return -1;
    return undisturbed(caller, [&] { return real(number, data, shortened(caller, number, size)); });
}

ssize_t write(int number, const void* data, std::size_t size) {
    COIR_NEXT(write);
    if (fails(caller, number))
        return -1;
    return undisturbed(caller, [&] { return real(number, data, shortened(caller, number, size)); });
}

ssize_t pread64(int number, void* data, std::size_t size, off64_t offset) {
    COIR_NEXT(pread64);
    return fails(caller, number) ? -1 : real(number, data, shortened(caller, number, size), offset);
}

ssize_t pwrite64(int number, const void* data, std::size_t size, off64_t offset) {
    COIR_NEXT(pwrite64);
    return fails(caller, number) ? -1 : real(number, data, shortened(caller, number, size), offset);
}

ssize_t recv(int number, void* data, std::size_t size, int flags) {
    COIR_NEXT(recv);
    if (fails(caller, number))
        return -1;
    return undisturbed(caller, [&] { return real(number, data, shortened(caller, number, size), flags); });
}

ssize_t send(int number, const void* data, std::size_t size, int flags) {
    COIR_NEXT(send);
    if (fails(caller, number))
        return -1;
    return undisturbed(caller, [&] { return real(number, data, shortened(caller, number, size), flags); });
}

ssize_t readv(int number, const iovec* pieces, int count) {
    COIR_NEXT(readv);
    if (fails(caller, number))
        return -1;
    shortened_pieces some{caller, number, pieces, static_cast<std::size_t>(count)};
    return real(number, some.data(), static_cast<int>(some.size()));
}

ssize_t writev(int number, const iovec* pieces, int count) {
    COIR_NEXT(writev);
    if (fails(caller, number))
        return -1;
    shortened_pieces some{caller, number, pieces, static_cast<std::size_t>(count)};
    return real(number, some.data(), static_cast<int>(some.size()));
}

ssize_t preadv64v2(int number, const iovec* pieces, int count, off64_t offset, int flags) {
    COIR_NEXT(preadv64v2);
    if (fails(caller, number))
        return -1;
    shortened_pieces some{caller, number, pieces, static_cast<std::size_t>(count)};
    return real(number, some.data(), static_cast<int>(some.size()), offset, flags);
}

ssize_t pwritev64v2(int number, const iovec* pieces, int count, off64_t offset, int flags) {
    COIR_NEXT(pwritev64v2);
    if (fails(caller, number))
        return -1;
    shortened_pieces some{caller, number, pieces, static_cast<std::size_t>(count)};
    return real(number, some.data(), static_cast<int>(some.size()), offset, flags);
}

ssize_t recvmsg(int number, msghdr* message, int flags) {
    COIR_NEXT(recvmsg);
    if (fails(caller, number))
        return -1;
    shortened_pieces some{caller, number, message->msg_iov, message->msg_iovlen};
    const msghdr before = *message;
    message->msg_iov = some.data();
    message->msg_iovlen = some.size();
    const ssize_t moved = real(number, message, flags);
    message->msg_iov = before.msg_iov;
    message->msg_iovlen = before.msg_iovlen;
    return moved;
}

ssize_t sendmsg(int number, const msghdr* message, int flags) {
    COIR_NEXT(sendmsg);
    if (fails(caller, number))
        return -1;
    shortened_pieces some{caller, number, message->msg_iov, message->msg_iovlen};
    msghdr changed = *message;
    changed.msg_iov = some.data();
    changed.msg_iovlen = some.size();
    return real(number, &changed, flags);
}

ssize_t sendfile64(int out, int in, off64_t* offset, std::size_t count) {
    static const auto real =
        reinterpret_cast<ssize_t (*)(int, int, off64_t*, std::size_t)>(::dlsym(RTLD_NEXT, "sendfile64"));
    const void* caller = __builtin_return_address(0);
    return fails(caller, out) ? -1 : real(out, in, offset, shortened(caller, out, count));
}

ssize_t splice(int in, off64_t* in_offset, int out, off64_t* out_offset, std::size_t count, unsigned flags) {
    static const auto real = reinterpret_cast<ssize_t (*)(int, off64_t*, int, off64_t*, std::size_t, unsigned)>(
        ::dlsym(RTLD_NEXT, "splice"));
    const void* caller = __builtin_return_address(0);
    return fails(caller, in) ? -1 : real(in, in_offset, out, out_offset, shortened(caller, in, count), flags);
}

ssize_t recvfrom(int number, void* data, std::size_t size, int flags, sockaddr* address, socklen_t* address_size) {
    COIR_NEXT(recvfrom);
    return fails(caller, number) ? -1 : real(number, data, size, flags, address, address_size);
}

ssize_t sendto(int number, const void* data, std::size_t size, int flags, const sockaddr* address,
               socklen_t address_size) {
    COIR_NEXT(sendto);
    return fails(caller, number) ? -1 : real(number, data, size, flags, address, address_size);
}

int recvmmsg(int number, mmsghdr* messages, unsigned count, int flags, timespec* timeout) {
    COIR_NEXT(recvmmsg);
    return fails(caller, number) ? -1 : real(number, messages, count, flags, timeout);
}

int sendmmsg(int number, mmsghdr* messages, unsigned count, int flags) {
    COIR_NEXT(sendmmsg);
    return fails(caller, number) ? -1 : real(number, messages, count, flags);
}

int accept4(int number, sockaddr* address, socklen_t* size, int flags) {
    COIR_NEXT(accept4);
    return fails(caller, number) ? -1 : real(number, address, size, flags);
}

// An interrupted one goes on in the background.
int connect(int number, const sockaddr* address, socklen_t size) {
    COIR_NEXT(connect);
    const int result = real(number, address, size);
    if (result == -1 && errno == EINPROGRESS && wanted == fault::interrupted && is_library(caller) && once_in(2)) {
        errno = EINTR;
        ++injected;
    }
    return result;
}

int poll(pollfd* asked, nfds_t count, int timeout) {
    COIR_NEXT(poll);
    if (wanted == fault::interrupted && is_library(caller) && once_in(3)) {
        errno = EINTR;
        ++injected;
        return -1;
    }
    return real(asked, count, timeout);
}

} // extern "C"
