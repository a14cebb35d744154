// Exists to have the test headers precompiled: chaise_catch_main's other source must not use them.
