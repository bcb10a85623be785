//! Look-ups of users, groups and hosts in a statically linked program.
//!
//! The C library answers such questions through modules that `/etc/nsswitch.conf` names. A static program that loads one
//! of them gets it from whatever C library the machine has, and crashes if that is not the one it was linked with.

/// Has the files of the machine and its DNS asked, and nothing else, if this program is linked statically with glibc. To
/// be called first of all, before there is a second thread.
///
/// The price: users and groups of a directory service are not found, nor are names that only multicast DNS knows.
pub fn pin() {
    #[cfg(all(target_os = "linux", target_env = "gnu", target_feature = "crt-static"))]
    glibc::pin();
}

#[cfg(all(target_os = "linux", target_env = "gnu", target_feature = "crt-static"))]
#[expect(unsafe_code, reason = "glibc offers this in C only")]
mod glibc {
    use std::ffi::{CStr, c_char, c_int};

    const SERVICES: [(&CStr, &CStr); 5] = [
        (c"hosts", c"files dns"),
        (c"passwd", c"files"),
        (c"group", c"files"),
        (c"initgroups", c"files"),
        (c"services", c"files"),
    ];

    // SAFETY: the declaration of <nss.h> of glibc, since 2.1.
    unsafe extern "C" {
        fn __nss_configure_lookup(database: *const c_char, services: *const c_char) -> c_int;
    }

    pub(super) fn pin() {
        for (database, services) in SERVICES {
            // SAFETY: both are C strings that live for ever, and no other thread looks anything up meanwhile: `pin` is
            // called before there is one. A failure leaves the machine's own configuration, as if it was never called.
            unsafe { __nss_configure_lookup(database.as_ptr(), services.as_ptr()) };
        }
    }
}
