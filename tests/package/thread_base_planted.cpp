// For thread_base_aarch64.py: what it must find, and what it must let pass.

extern "C" {

extern constinit thread_local int planted_object;
void coir_switch(void** suspended, void* resumed);

/// The bug: compilers keep the base, and after the switch the thread may be another.
int keeps_base(void** suspended, void* resumed) {
    planted_object = 1;
    coir_switch(suspended, resumed);
    return planted_object;
}

/// Goes on by a jump.
void leaves_by_jump(void** suspended, void* resumed) {
    planted_object = 1;
    coir_switch(suspended, resumed);
}

/// Does not reach the switch.
void planted_function();
int only_reads() {
    planted_function();
    return planted_object;
}
}
