"""The sources that come with capsearch, one module each, through the same door as a stranger's."""
