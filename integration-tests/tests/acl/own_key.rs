use integration_tests::suite::TestFn;
pub(crate) const TESTS: &[(&str, TestFn)] = &[];
