"""Every private name of another package that opa-stack uses, behind a plain one; a module or a folder for each package.

What a new release of one of them changes is changed here. `tests/_compat` holds that each name exists, and has the
shape that is relied on; `tests/test_private_names.py`, that no other module has a private name of another package.

Where a private method is to be overridden, a class here has it call a method with a plain name, whose default is the
package's own: a subclass overrides that one, and says `super()`.
"""
