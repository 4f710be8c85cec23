import gc

from vaelab.train import import_frameworks


def test_the_collector_works_on_but_no_longer_walks_through_what_was_imported():
    import_frameworks()
    assert gc.isenabled()
    assert gc.get_freeze_count() > 100_000
