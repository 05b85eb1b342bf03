// For thread_base.py: what it must find, and what it must let pass.

extern "C" {

extern constinit thread_local int planted_object;
void coir_switch(void** suspended, void* resumed);
void planted_function();

__asm__(".globl coir_switch\n"
        ".type coir_switch, @function\n"
        "coir_switch:\n"
        "ret\n"
        ".size coir_switch, .-coir_switch\n");

constinit thread_local int planted_object = 0;

// The address, kept: otherwise it is worked out where it is used.
static int* kept_address() {
    int* address = &planted_object;
    __asm__("" : "+r"(address));
    return address;
}

/// The bug: after the switch the thread may be another.
int keeps_address(void** suspended, void* resumed) {
    int* const mine = kept_address();
    coir_switch(suspended, resumed);
    return *mine;
}

/// The same, further away from the switch.
int keeps_address_for_caller(void** suspended, void* resumed) {
    int* const mine = kept_address();
    return keeps_address(suspended, resumed) + *mine;
}

/// Through %fs both times.
int looks_again(void** suspended, void* resumed) {
    planted_object = 1;
    coir_switch(suspended, resumed);
    return planted_object;
}

/// Does not reach the switch.
int* only_tells() {
    return &planted_object;
}
}
